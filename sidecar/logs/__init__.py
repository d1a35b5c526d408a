"""Structured logs on stderr: JSON for machines, coloured lines for people.

What is bound with `structlog.contextvars` (the request id) stands on every line of that request. The standard library's
loggers, which gRPC, aiohttp and PyMongo use, come out in the same form.

A log line never makes anybody wait, fails nothing and ends nothing: it is rendered where it arises (`render`, which
never raises), left out if it only repeats others (`repetition`), and written by a thread of its own (`writer`).
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal

import structlog
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector
from structlog.typing import EventDict, Processor

from sidecar.logs.render import Renderer, json_line
from sidecar.logs.repetition import CALL_SITE, Repetition
from sidecar.logs.streams import LineStream, log_what_nobody_catches
from sidecar.logs.writer import LineWriter

__all__ = ["Log", "configure", "is_console", "set_up"]

Format = Literal["auto", "json", "console"]

_STDERR = 2
_LAST_LINES_SECONDS = 1.5
"""What the end of the process waits for a reader of the last lines."""

_NOISY = {
    "pymongo": logging.WARNING,
    "aiohttp.access": logging.WARNING,
    # The pool logs each reconnect as an error of its own; the destination reports the outage once.
    "pymongo.connection": logging.CRITICAL,
    "pymongo.serverSelection": logging.CRITICAL,
    "pymongo.topology": logging.CRITICAL,
}


class Log(Collector):
    """The log of this process."""

    def __init__(self, writer: LineWriter, repetition: Repetition) -> None:
        self._writer = writer
        self._repetition = repetition

    def take_over_stderr(self) -> None:
        """From now on, what is written to `sys.stderr` and what nobody catches goes the log's way, too."""
        sys.stderr = LineStream(self._writer, _STDERR)
        log_what_nobody_catches()

    def flush(self, seconds: float = _LAST_LINES_SECONDS) -> None:
        """Wait until all is written, at most for so long."""
        self._repetition.tell()
        self._writer.flush(seconds)

    def collect(self) -> Iterable[Metric]:
        """For Prometheus."""
        yield CounterMetricFamily(
            "otlp_mongo_log_lines_dropped",
            "Log lines that could not be written: nobody read them, or the disk was full",
            self._writer.dropped,
        )
        yield CounterMetricFamily(
            "otlp_mongo_log_lines_suppressed",
            "Log lines left out because they only repeated others",
            self._repetition.suppressed,
        )


def is_console(log_format: Format) -> bool:
    """Whether a person reads along."""
    return os.isatty(_STDERR) if log_format == "auto" else log_format == "console"


def configure(level: str, log_format: Format) -> Log:
    """Set up all logging of this process. `level`: a name such as `info`. At exit the last lines are waited for."""
    for_people = is_console(log_format)
    colours = os.isatty(_STDERR)
    renderer = Renderer(_processors(for_people=for_people), _final(for_people=for_people, colours=colours))
    writer = LineWriter(_STDERR, partial(_dropped_line, renderer))
    repetition = set_up(writer.write, level, for_people=for_people, colours=colours)
    log = Log(writer, repetition)
    atexit.register(log.flush)
    return log


def set_up(write: Callable[[str], object], level: str, *, for_people: bool, colours: bool = False) -> Repetition:
    """As `configure`, with lines that go to `write`. It may be called by several threads."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    repetition = Repetition(_tell_left_out)
    processors = [structlog.contextvars.merge_contextvars, *_processors(for_people=for_people)]
    processors.insert(2, partial(_leave_out, repetition))
    renderer = Renderer(processors, _final(for_people=for_people, colours=colours))

    def write_line(text: str) -> None:
        write(text + "\n")

    structlog.configure(
        processors=[renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_names: _Output(write_line),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_Bridge(renderer, write_line)]
    root.setLevel(threshold)
    logging.captureWarnings(True)
    for name, least in _NOISY.items():
        logging.getLogger(name).setLevel(max(least, threshold))
    return repetition


class _Output:
    """What structlog calls a logger: takes rendered lines."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self.msg = self.debug = self.info = self.warning = self.error = self.critical = self.exception = write


class _Bridge(logging.Handler):
    """The standard library's loggers through the same processors."""

    def __init__(self, renderer: Renderer, write: Callable[[str], None]) -> None:
        super().__init__()
        self._renderer = renderer
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        event: EventDict = {"event": _message(record), "logger": record.name}
        # Its text may be another each time; where it is logged is not.
        event[CALL_SITE] = (record.pathname, record.lineno)
        if record.exc_info:
            event["exc_info"] = record.exc_info
        if record.stack_info:
            event["stack"] = record.stack_info
        try:
            self._write(self._renderer(None, record.levelname.lower(), event))
        except structlog.DropEvent:
            return


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # arguments that do not fit: a defect of whoever logs
        return str(record.msg)


def _processors(*, for_people: bool) -> list[Processor]:
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    return processors if for_people else [*processors, structlog.processors.format_exc_info]


def _final(*, for_people: bool, colours: bool) -> Callable[[EventDict], str]:
    if not for_people:
        return json_line
    console = structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)
    return lambda event: console(None, "", dict(event))


def _leave_out(repetition: Repetition, _logger: Any, _method: str, event: EventDict) -> EventDict:
    if event["level"] != "debug":
        suppressed = repetition.admit(event)
        if suppressed is None:
            raise structlog.DropEvent
        if suppressed:
            event["suppressed"] = suppressed
    event.pop(CALL_SITE, None)
    return event


def _tell_left_out(event: str, lines: int) -> None:
    structlog.get_logger(__name__).warning("repeated lines were left out", repeated=event, lines=lines)


def _dropped_line(renderer: Renderer, lines: int) -> str:
    return renderer(None, "warning", {"event": "log lines were dropped: nobody took them", "lines": lines}) + "\n"
