"""From PyMongo's errors and MongoDB's replies to what the exporter's parts act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pymongo.errors import (
    AutoReconnect,
    ConfigurationError,
    ConnectionFailure,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
)

from exporter.errors import DestinationMisconfigured, DestinationUnavailable
from exporter.mongodb.error_codes import DUPLICATE_KEY, MALFORMED, MISCONFIGURED, TRANSIENT

_REASON_LENGTH = 500
"""Characters of a server's message that are kept: some quote the document."""


class Failure(NamedTuple):
    """Why an operation did not succeed."""

    kind: str
    """One word for metrics: `network`, `timeout`, `no_primary`, `write_concern`, `misconfigured`, `server`."""
    error: DestinationUnavailable


def from_exception(error: PyMongoError) -> Failure:
    """What an operation that raised tells about the destination."""
    message = shorten(str(error))
    match error:
        case OperationFailure(code=int(code)):
            return from_code(code, message)
        case ConfigurationError():
            return Failure("misconfigured", DestinationMisconfigured(message))
        case NotPrimaryError() | ServerSelectionTimeoutError():
            kind = "no_primary"
        case NetworkTimeout() | WaitQueueTimeoutError():
            kind = "timeout"
        case ConnectionFailure():
            kind = "network"
        case _:
            kind = "server"
    return Failure(kind, DestinationUnavailable(message))


def from_code(code: int, message: str) -> Failure:
    """What an error of the server, of a command or of a document, tells about the destination."""
    text = f"{shorten(message)} (MongoDB error {code})"
    if code in MISCONFIGURED:
        return Failure("misconfigured", DestinationMisconfigured(text))
    return Failure("server", DestinationUnavailable(text))


def from_write_concern_error(error: Mapping[str, Any]) -> Failure:
    """Written, but not as durably as was asked for."""
    code = int(error.get("code", 0))
    text = f"not yet durable: {shorten(str(error.get('errmsg', '')))} (MongoDB error {code})"
    if code in MISCONFIGURED:
        return Failure("misconfigured", DestinationMisconfigured(text))
    return Failure("write_concern", DestinationUnavailable(text))


def from_wrong_count(sent: int, inserted: int, refused: int) -> Failure:
    """MongoDB does not account for every document: what it did not mention may not be stored."""
    text = f"of {sent} documents, MongoDB says to have inserted {inserted} and refused {refused}"
    return Failure("server", DestinationUnavailable(text))


def is_worth_repeating(error: PyMongoError) -> bool:
    """Whether the same command may succeed at once: a connection that died unnoticed, a primary that stepped down."""
    if isinstance(error, ServerSelectionTimeoutError | NetworkTimeout | WaitQueueTimeoutError):
        return False
    return isinstance(error, AutoReconnect) or error.has_error_label("RetryableWriteError")


def is_about_content(error: PyMongoError) -> bool:
    """Whether a document made the command unreadable, so that none of its documents was looked at."""
    return isinstance(error, OperationFailure) and error.code in MALFORMED


def is_passing(code: int) -> bool:
    """Whether a document that was refused with this code may be taken later."""
    return code in TRANSIENT or code in MISCONFIGURED


def is_copy(error: Mapping[str, Any]) -> bool:
    """Whether a write error says that a document with this `_id` is stored already.

    Another unique index, which can only be the user's, refuses with the same code.
    """
    if error.get("code") != DUPLICATE_KEY:
        return False
    if "keyPattern" in error:
        return list(error["keyPattern"]) == ["_id"]
    return " index: _id_ " in error.get("errmsg", "")


def shorten(message: str) -> str:
    """The part of a message that people need: PyMongo appends the whole reply, or its whole view of the servers."""
    for appendix in (", full error: ", " (configured timeouts: ", ", Timeout: "):
        message = message.partition(appendix)[0]
    return message if len(message) <= _REASON_LENGTH else message[: _REASON_LENGTH - 1] + "…"
