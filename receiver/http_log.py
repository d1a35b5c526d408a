"""Keeps what is not HTTP at all out of the log, but for a line now and then."""

from __future__ import annotations

import logging

from aiohttp.http_exceptions import HttpProcessingError

from receiver.refusal_log import RefusalLog


class _Garbage(logging.Filter):
    """aiohttp logs a traceback for each request that it cannot parse: anybody could fill a disk with them."""

    def __init__(self, refusals: RefusalLog) -> None:
        super().__init__()
        self._refusals = refusals

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError):
            return True
        self._refusals.write("not_http", " ".join(error.message.split())[:200])
        return False


def garbage_logger(refusals: RefusalLog) -> logging.Logger:
    """The logger for an HTTP server of aiohttp."""
    # Not from the registry of names: each server has its own filter.
    logger = logging.Logger("receiver.http")
    logger.parent = logging.getLogger("aiohttp.server")
    logger.addFilter(_Garbage(refusals))
    return logger
