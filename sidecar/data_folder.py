"""The data folder: who owns it, and the file that tells other commands where the running sidecar listens."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from sidecar.errors import UserError
from sidecar.settings.types import LONGEST_UNIX_PATH


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


class DataFolder:
    """The folder for all that is kept on disk. Its methods do file I/O: call them in a thread."""

    def __init__(self, path: Path) -> None:
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
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            state = self.read_state()
            owner = f" (process {state.pid})" if state else ""
            raise DataFolderInUse(
                f"OTLP_MONGO_DATA_DIR: the folder {self.path} is in use by another sidecar{owner}; "
                "stop it, or set another folder"
            ) from error
        self._lock = lock

    def close(self) -> None:
        """Give the folder back. May be called in any state."""
        if self._lock is not None:
            self._state.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def admin_socket_or(self, endpoint: str) -> str:
        """Where the admin service listens: `endpoint`, or for `auto` a socket in this folder.

        Where the folder's path is too long for a socket's (unix(7)), any free port of this machine.
        """
        if endpoint != "auto":
            return endpoint
        socket = self.path / "admin.sock"
        return f"unix:{socket}" if len(bytes(socket)) <= LONGEST_UNIX_PATH else "127.0.0.1:0"

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
