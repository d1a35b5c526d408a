"""What is done to a segment's files before SQLite opens them: SQLite deletes a log that it has read, damaged or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from exporter.buffer import files, wal
from exporter.buffer.errors import is_full
from exporter.buffer.folder import Folder

_log = structlog.get_logger(__name__)


class Recovery:
    """Mends the logs of segments that were not closed."""

    def __init__(self, folder: Folder, on_damage: Callable[[], None]) -> None:
        self._folder = folder
        self._on_damage = on_damage

    def prepare(self, file: Path) -> None:
        """See to it that SQLite will read the log of a segment to its last whole transaction.

        Failing at any point leaves the log as it was, or mended: it is tried again at the next opening.

        Raises:
            OSError: the log cannot be read, copied or mended now.
        """
        system, log_file = self._folder.system, files.beside(file, "-wal")
        log = wal.inspect(system, log_file)
        if log is None:
            return
        # What a killed process wrote may be in the system's memory only; what is found now counts as durable.
        files.sync(system, file)
        files.sync(system, log_file)
        if log.end > log.readable:
            self._mend(log_file, log)
        elif log.lost:
            self._keep_unfinished(log_file)

    def _keep_unfinished(self, log_file: Path) -> None:
        """SQLite drops transactions that are not whole, as is right: nobody was told that they are stored."""
        try:
            kept = self._folder.keep_copy(log_file)
        except OSError as error:
            if not is_full(error):
                raise
            kept = None  # a copy that nobody needs must not keep the others waiting for room
        event = "the last write to the retry buffer was unfinished, as after a power cut"
        _log.warning(event, file=str(log_file), kept=str(kept))

    def _mend(self, log_file: Path, log: wal.Log) -> None:
        kept = self._folder.keep_copy(log_file)
        mended = wal.mend(files.read(self._folder.system, log_file), log)
        self._folder.replace(log_file, mended)
        self._on_damage()
        event = "the retry buffer's log is damaged: mended, a copy set aside"
        _log.error(event, file=str(log_file), kept=str(kept))
