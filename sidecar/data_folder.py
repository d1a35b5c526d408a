"""The data folder: who owns it, and the file that tells other commands where the running sidecar listens."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from sidecar.errors import UserError

_PATIENCE_SECONDS = 5.0
_MOMENT_SECONDS = 0.2
"""Longer than somebody who only looks has the lock."""
_LOOK_AGAIN_SECONDS = 0.02


class DataFolderUnusable(UserError):
    """The data folder cannot be created or written, or another sidecar has it."""


class DataFolderInUse(DataFolderUnusable):
    """Another sidecar has the data folder."""


@dataclass(frozen=True, slots=True)
class SidecarState:
    """What other commands need to know of a running sidecar. No credentials."""

    pid: int
    grpc: str | None
    http: str | None
    admin: str | None
    admin_grpc: str | None
    database: str
    embedded: bool
    """Whether it stores in an embedded mongod, whose own folder then tells where that is."""

    @property
    def receives(self) -> bool:
        """Whether it is one that serves, and not a command that looks into the buffer."""
        return bool(self.grpc or self.http)


class DataFolder:
    """The folder for all that is kept on disk. Its methods do file I/O: call them in a thread."""

    def __init__(self, path: Path, *, patience: float = _PATIENCE_SECONDS) -> None:
        """`patience`: how long, in seconds, `open` waits for a command that has the folder for a moment."""
        self._patience = patience
        self.path = path.absolute()
        self.mongod = self.path / "mongod"
        self.buffer = self.path / "buffer"
        self._state = self.path / "sidecar.json"
        self._lock: int | None = None

    def open(self) -> None:
        """Create the folder and take its lock, which the kernel gives back when this process ends in whatever way.

        Raises:
            DataFolderUnusable: it cannot be written, or another sidecar has the lock.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe = self.path / ".writable"
            probe.write_bytes(b"")
            probe.unlink()
            lock = os.open(self.path / "sidecar.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataFolderUnusable(
                f"OTLP_MONGO_DATA_DIR: cannot write the folder {self.path} ({error.strerror}); set one you may write"
            ) from error
        if not self._take(lock):
            os.close(lock)
            state = self.read_state()
            owner = f" (process {state.pid})" if state else ""
            raise DataFolderInUse(
                f"OTLP_MONGO_DATA_DIR: the folder {self.path} is in use by another sidecar{owner}; "
                "stop it, or set another folder"
            )
        self._lock = lock

    def _take(self, lock: int) -> bool:
        """Lock it, with some patience: a command may hold the lock for a moment (`running`), or as long as it takes."""
        started = time.monotonic()
        while True:
            with contextlib.suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            waited = time.monotonic() - started
            if waited >= self._patience or (waited >= _MOMENT_SECONDS and self._is_served()):
                return False
            time.sleep(_LOOK_AGAIN_SECONDS)

    def _is_served(self) -> bool:
        state = self.read_state()
        return state is not None and state.receives and state.pid != os.getpid() and _runs(state.pid)

    def close(self) -> None:
        """Give the folder back. May be called in any state."""
        if self._lock is not None:
            self._state.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def write_state(self, state: SidecarState) -> None:
        """Tell other commands. Raises OSError, as on a full disk: then no older state misleads them."""
        self._state.unlink(missing_ok=True)
        fresh = self._state.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(state)) + "\n")
        fresh.replace(self._state)

    def read_state(self) -> SidecarState | None:
        """The state as last written; None when there is none that can be read."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            return SidecarState(**json.loads(self._state.read_text()))
        return None

    def running(self) -> SidecarState | None:
        """The state of the sidecar that owns the folder; None when none runs."""
        try:
            lock = os.open(self.path / "sidecar.lock", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return self.read_state()
        finally:
            os.close(lock)
        return None


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
