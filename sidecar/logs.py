"""Structured logs on stderr: JSON for machines, coloured lines for people.

What is bound with `structlog.contextvars` (the request id) stands on every line of that request. The standard library's
loggers, which gRPC, aiohttp and PyMongo use, come out in the same form.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor

Format = Literal["auto", "json", "console"]

_NOISY = {
    "pymongo": logging.WARNING,
    "aiohttp.access": logging.WARNING,
    # The pool logs each reconnect as an error of its own; the destination reports the outage once.
    "pymongo.connection": logging.CRITICAL,
    "pymongo.serverSelection": logging.CRITICAL,
    "pymongo.topology": logging.CRITICAL,
}


def is_console(log_format: Format, stream: TextIO) -> bool:
    """Whether a person reads along."""
    return stream.isatty() if log_format == "auto" else log_format == "console"


def configure(level: str, log_format: Format, stream: TextIO | None = None) -> None:
    """Set up all logging of this process. `level`: a name such as `info`. `stream`: stderr when not given."""
    target = stream or sys.stderr
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    final: list[Processor]
    if is_console(log_format, target):
        final = [
            structlog.dev.ConsoleRenderer(colors=target.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    else:
        final = [
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(serializer=_json),
        ]
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(target),
        cache_logger_on_first_use=True,
    )
    _bridge(shared, final, threshold, target)


def _bridge(shared: list[Processor], final: list[Processor], threshold: int, target: TextIO) -> None:
    """The standard library's loggers through the same processors."""
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(threshold)
    logging.captureWarnings(True)
    for name, least in _NOISY.items():
        logging.getLogger(name).setLevel(max(least, threshold))


def _json(event: EventDict, **_options: Any) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
