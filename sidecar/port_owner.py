"""Which process listens on a port of this machine, as far as Linux lets us see (proc(5))."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_LISTEN = "0A"
_LONGEST = 60
"""Characters of a command that are shown."""


def owner_of(port: int) -> str:
    """`process 42 (command)`; empty when nobody listens there or it is hidden from this user."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    if not sockets:
        return ""
    for process in _PROC.iterdir():
        if process.name.isdigit() and _has(process, sockets):
            return f"process {process.name} ({_command(process)})"
    return ""


def _inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _has(process: Path, sockets: set[str]) -> bool:
    try:
        return any(str(descriptor.readlink()) in sockets for descriptor in (process / "fd").iterdir())
    except OSError:
        return False  # another user's, or it has just ended


def _command(process: Path) -> str:
    """Its name and what is run by it, but no arguments: those may be secret."""
    try:
        words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "ended"
    names = [Path(word).name for word in words if word][:3]
    shown = [names[0], *(name for name in names[1:] if name in ("otlp-mongo", "serve"))] if names else ["?"]
    return " ".join(shown)[:_LONGEST]
