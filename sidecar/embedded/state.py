"""The embedded mongod's folder: what lies where, who owns it, and the state file that other commands read."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from sidecar.embedded.errors import FolderInUse, FolderNotWritable

_LOG_LIMIT = 16 * 1024 * 1024
"""Bytes of mongod's log at which a start sets it aside; one old log is kept."""


@dataclass(frozen=True, slots=True)
class MongodState:
    """Where a running embedded mongod is found. It has no users, and listens on the loopback interface only."""

    uri: str
    port: int
    pid: int

    @staticmethod
    def read(folder: Path) -> MongodState | None:
        """The state in an embedded mongod's folder as last written; None when there is none that can be read."""
        try:
            return MongodState(**json.loads((folder / "mongod.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None


class MongodFolder:
    """The folder of one embedded mongod. Its methods do file I/O: call them in a thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = path / "db"
        self.log = path / "mongod.log"
        self.output = path / "mongod.out"
        """What mongod, or the loader before it, writes to stdout and stderr."""
        self._state = path / "mongod.json"
        self._lock: int | None = None

    def open(self) -> None:
        """Create the folder and take its lock, which the kernel gives back when this process ends in whatever way.

        Raises:
            FolderNotWritable: it cannot be created or written.
            FolderInUse: another process holds the lock.
        """
        try:
            self.data.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._probe()
        except OSError as error:
            raise FolderNotWritable(self.path, error.strerror or str(error)) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise FolderInUse(self.path) from error
        self._lock = lock

    def _probe(self) -> None:
        probe = self.data / ".writable"
        probe.write_bytes(b"")
        probe.unlink()

    def close(self) -> None:
        """Forget the state and give the lock back."""
        if self._lock is not None:
            self._state.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def write_state(self, state: MongodState) -> None:
        fresh = self._state.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(state)) + "\n")
        fresh.replace(self._state)

    def rotate_log(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > _LOG_LIMIT:
                self.log.replace(self.log.with_suffix(".log.1"))

    def log_size(self) -> int:
        try:
            return self.log.stat().st_size
        except FileNotFoundError:
            return 0

    def orphan(self) -> int | None:
        """The id of a mongod that still runs on our data though we hold the lock: its sidecar was killed."""
        try:
            pid = int((self.data / "mongod.lock").read_text())
        except (OSError, ValueError):
            return None
        return pid if self.runs_here(pid) else None

    def runs_here(self, pid: int) -> bool:
        """Whether a process runs on our data: ids are used again, so the number alone says little."""
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return os.fsencode(self.data) in arguments
