"""The volume that the buffer lies on: how much of it may be used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from exporter.buffer.config import MIN_BYTES, BufferConfig
from exporter.buffer.errors import VolumeTooSmall
from exporter.buffer.file_system import FileSystem, RealFileSystem

_RESERVED_SHARE = 16
"""A sixteenth of a small volume is left alone, where `min_free_bytes` would be all of it."""
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume as it is now. In bytes."""

    total: int
    """0 where the file system does not say."""
    free: int
    """For us, who may not be root."""
    out_of_files: bool
    """Whether no further file can be made, however much room there is."""

    def reserve(self, config: BufferConfig) -> int:
        """What the buffer leaves alone."""
        return min(config.min_free_bytes, self.total // _RESERVED_SHARE) if self.total else 0

    def usable(self, config: BufferConfig) -> int | None:
        """What the buffer may take of it when it is empty; None when that is not known."""
        return self.total - self.reserve(config) if self.total else None

    def room(self, config: BufferConfig) -> int | None:
        """What the buffer may take of it now; None when that is not known."""
        return self.free - self.reserve(config) if self.total else None


def look(system: FileSystem, folder: Path) -> Volume:
    """The volume of a folder, or that it will be on. Raises OSError."""
    try:
        state = system.volume(folder)
    except FileNotFoundError:
        if folder.parent == folder:
            raise
        return look(system, folder.parent)
    # Some file systems make files as they need them and say that they have none.
    out_of_files = state.f_files > 0 and state.f_favail == 0
    return Volume(state.f_blocks * state.f_frsize, state.f_bavail * state.f_frsize, out_of_files)


def examine(config: BufferConfig, system: FileSystem | None = None) -> Iterator[str]:
    """A line for each thing about the volume that keeps the buffer from being as large as it is set.

    Raises:
        VolumeTooSmall: it can hold no buffer at all.
        OSError: it cannot be looked at.
    """
    volume = look(system or RealFileSystem(), config.folder)
    usable, room = volume.usable(config), volume.room(config)
    if usable is None or room is None:
        return
    if usable < MIN_BYTES:
        raise VolumeTooSmall(
            f"the volume of {config.folder} has {_mib(volume.total)}, of which {_mib(volume.reserve(config))} are left "
            f"alone: the retry buffer needs at least {_mib(MIN_BYTES)}; choose a folder on another volume"
        )
    if config.max_bytes > usable:
        yield (
            f"the retry buffer may take {_mib(config.max_bytes)}, but the volume of {config.folder} has "
            f"{_mib(volume.total)}, of which {_mib(volume.reserve(config))} are left alone: "
            f"the buffer is full at {_mib(usable)}"
        )
    elif room < MIN_BYTES:
        yield (
            f"the volume of {config.folder} has {_mib(volume.free)} free, of which {_mib(volume.reserve(config))} are "
            "left alone: the retry buffer can take nothing more until there is room"
        )
    if volume.out_of_files:
        yield f"the volume of {config.folder} can hold no further file (its inodes are used up)"


def _mib(size: int) -> str:
    return f"{size / _MIB:,.1f} MiB"
