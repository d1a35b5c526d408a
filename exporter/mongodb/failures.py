"""From PyMongo's errors and MongoDB's replies to what the exporter's parts act on."""

from __future__ import annotations

import re
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

from exporter.errors import DestinationMisconfigured, DestinationUnavailable, Scope
from exporter.mongodb.error_codes import Meaning, meaning
from exporter.mongodb.explain import explain, explain_reply
from exporter.mongodb.explain import shorten as shorten
from exporter.mongodb.scopes import scope_of

_INDEX = re.compile(r"^E11000 duplicate key error collection: \S+ index: (\S+) dup key: ")
"""MongoDB's own words. Others use some of them, but do not name the index as it is called."""
_UNKNOWN = re.compile(
    r"unknown|unsupported|unrecogni[sz]ed|not (?:yet )?(?:supported|implemented|recogni[sz]ed|allowed)", re.IGNORECASE
)
_THROTTLED = {16500, 449, 429}
"""What Cosmos DB and Atlas answer when more comes than was paid for: RequestRateTooLarge, RateLimitExceeded."""
_RETRY_AFTER = re.compile(r"RetryAfterMs\s*[=:]\s*(\d{1,7})")


class Failure(NamedTuple):
    """Why an operation did not succeed."""

    kind: str
    """One word for metrics: `network`, `timeout`, `no_primary`, `write_concern`, `misconfigured`, `server`."""
    error: DestinationUnavailable


def from_exception(error: PyMongoError) -> Failure:
    """What an operation that raised tells about the destination."""
    if isinstance(error, OperationFailure) and error.code is not None:
        return from_code(error.code, str(error))
    message = str(explain(error))
    scope = Scope.SERVER
    match error:
        case ConfigurationError():
            return Failure("misconfigured", DestinationMisconfigured(message))
        case NotPrimaryError() | ServerSelectionTimeoutError():
            kind = "no_primary"
        case NetworkTimeout():
            kind, scope = "timeout", Scope.SILENCE
        case WaitQueueTimeoutError():
            kind = "timeout"
        case ConnectionFailure():
            kind = "network"
        case _:
            kind, scope = "server", Scope.COLLECTION
    return Failure(kind, DestinationUnavailable(message, scope))


def from_code(code: int, message: str) -> Failure:
    """What an error of the server, of a command or of a document, tells about the destination."""
    explanation = explain_reply(code, message)
    if meaning(code) is Meaning.MISCONFIGURED:
        return Failure("misconfigured", DestinationMisconfigured(str(explanation), scope_of(code)))
    return Failure("server", DestinationUnavailable(str(explanation), scope_of(code)))


def from_write_concern_error(error: Mapping[str, Any]) -> Failure:
    """Written, but not as durably as was asked for."""
    code = int(error.get("code", 0))
    text = f"not yet durable: {shorten(str(error.get('errmsg', '')))} (MongoDB error {code})"
    if meaning(code) is Meaning.MISCONFIGURED:
        return Failure("misconfigured", DestinationMisconfigured(text))
    return Failure("write_concern", DestinationUnavailable(text))


def from_wrong_count(sent: int, inserted: int, refused: int) -> Failure:
    """MongoDB does not account for every document: what it did not mention may not be stored."""
    text = f"of {sent} documents, MongoDB says to have inserted {inserted} and refused {refused}"
    return Failure("server", DestinationUnavailable(text, Scope.COLLECTION))


def from_lookup(error: PyMongoError) -> Failure:
    """Documents may be stored already, and nobody knows: their `_id`s could not be looked up."""
    failure = from_exception(error)
    text = (
        "a duplicate key error does not say which index it is about, and the documents' _ids could not be looked up "
        f"(the user needs the action find): {failure.error}"
    )
    return Failure(failure.kind, type(failure.error)(text, failure.error.scope))


def is_still_connecting(error: PyMongoError) -> bool:
    """Whether no server was found in time though none has failed yet: the first connections are being made."""
    return isinstance(error, ServerSelectionTimeoutError) and " found yet" in str(error)


def is_worth_repeating(error: PyMongoError) -> bool:
    """Whether the same command may succeed at once: a connection that died unnoticed, a primary that stepped down."""
    if isinstance(error, ServerSelectionTimeoutError | NetworkTimeout | WaitQueueTimeoutError):
        return False
    return isinstance(error, AutoReconnect) or error.has_error_label("RetryableWriteError")


def is_about_content(error: PyMongoError) -> bool:
    """Whether one document made a whole command fail: it has to be found, and the others inserted without it."""
    if not isinstance(error, OperationFailure) or error.code is None:
        return False
    return meaning(error.code) in (Meaning.FINAL, Meaning.DUPLICATE)


def is_passing(code: int) -> bool:
    """Whether a document that was refused with this code may be taken later."""
    return meaning(code) in (Meaning.PASSING, Meaning.MISCONFIGURED)


def is_throttled(code: int) -> bool:
    """Whether a document was refused for the number of those that were sent, not for itself."""
    return code in _THROTTLED


def retry_after(message: str) -> float:
    """Seconds that a service asks to wait for in the text of an error (Cosmos DB); 0 when it asks for nothing."""
    found = _RETRY_AFTER.search(message)
    return int(found[1]) / 1000 if found else 0.0


def is_duplicate(code: int) -> bool:
    """Whether a unique index holds the key of a document already."""
    return meaning(code) is Meaning.DUPLICATE


def code_of(error: Mapping[str, Any]) -> int:
    """The code of a write error; 0 when it has none that is a number."""
    code = error.get("code")
    return int(code) if isinstance(code, int | float) else 0


def is_copy(error: Mapping[str, Any]) -> bool | None:
    """Whether a write error says that a document with this `_id` is stored already.

    Another unique index, which can only be the user's, refuses with the same code. None: the error does not say which
    index it is (FerretDB, DocumentDB, Cosmos DB).
    """
    if not is_duplicate(code_of(error)):
        return False
    if pattern := error.get("keyPattern"):
        return list(pattern) == ["_id"]
    if named := _INDEX.search(message_of(error)):
        return named[1] == "_id_"
    return None


def message_of(error: Mapping[str, Any]) -> str:
    """The text of a write error."""
    return str(error.get("errmsg", ""))


def says_unknown(message: str) -> bool:
    """Whether a server says that it does not know, or have, what it was asked for."""
    return _UNKNOWN.search(shorten(message)) is not None
