"""What writes to `sys.stderr` past all logging goes the same way."""

from __future__ import annotations

import io
import os
import sys
import threading
from types import TracebackType
from typing import Any

import structlog

from sidecar.logs.writer import LineWriter

_LONGEST_PART = 64 << 10

_log = structlog.get_logger(__name__)


class LineStream(io.TextIOBase):
    """Takes the place of `sys.stderr`: writing to it neither waits nor fails."""

    def __init__(self, writer: LineWriter, descriptor: int) -> None:
        super().__init__()
        self._writer = writer
        self._descriptor = descriptor
        self._part = ""

    @property
    def encoding(self) -> str:  # type: ignore[override] # a plain attribute in the stubs
        return "utf-8"

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        return self._descriptor

    def write(self, text: str) -> int:
        whole, newline, self._part = (self._part + text).rpartition("\n")
        if newline:
            self._writer.write(whole + newline)
        if len(self._part) > _LONGEST_PART:
            self.flush()
        return len(text)

    def flush(self) -> None:
        """Also what is no whole line yet: somebody wants it to be seen."""
        part, self._part = self._part, ""
        if part:
            self._writer.write(part)


def log_what_nobody_catches() -> None:
    """Exceptions that would be printed as tracebacks become lines of the log."""
    sys.excepthook = _on_crash
    threading.excepthook = _on_thread_crash
    sys.unraisablehook = _on_unraisable


def _on_crash(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    _log.critical("ended by an unexpected error", exc_info=(kind, error, traceback))


def _on_thread_crash(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_type is not SystemExit:
        error = (arguments.exc_type, arguments.exc_value, arguments.exc_traceback)
        _log.error("a thread ended by an unexpected error", thread=_name(arguments.thread), exc_info=error)


def _on_unraisable(unraisable: Any) -> None:
    error = (unraisable.exc_type, unraisable.exc_value, unraisable.exc_traceback)
    _log.error("an error where nobody could be told", where=repr(unraisable.object)[:200], exc_info=error)


def _name(thread: threading.Thread | None) -> str:
    return thread.name if thread else "?"
