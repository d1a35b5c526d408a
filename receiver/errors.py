"""The receiver's own errors, and the one table that says what a client is told for an error.

Sources: OTLP specification 1.10 ("Failures", "OTLP/HTTP Response"); google/rpc/error_details.proto (RetryInfo).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from exporter import ExporterError, MalformedPayload, Overloaded, TooLarge, Unavailable

MAX_MESSAGE_CHARACTERS = 1000
"""Of a reason: in gRPC it travels twice, in headers that clients limit to 8 KiB."""
_RETRY_UNKNOWN_SECONDS = 1.0
_JITTER = 0.25


class ReceiverError(Exception):
    """A request that the receiver itself refuses. Its text is shown to the client."""


class PayloadTooLarge(ReceiverError):
    """The request is larger than the limit, packed or unpacked: sending it again cannot help."""


class NotFound(ReceiverError):
    """No signal is served at this HTTP path."""


class ClientGone(ReceiverError):
    """The client hung up before its request was whole."""


class NoMessage(ReceiverError):
    """A gRPC call that ended before its one message was there."""


class _HeaderError(ReceiverError):
    """A refusal that names, in one header of its answer, what would have been taken."""

    def __init__(self, reason: str, header: tuple[str, str] | None = None) -> None:
        super().__init__(reason)
        self.headers = dict([header] if header else [])


class MethodNotAllowed(_HeaderError):
    """Another HTTP method than the path takes."""


class UnsupportedMediaType(_HeaderError):
    """A content type or a content encoding that OTLP/HTTP does not have."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What a client is told when its records were not taken."""

    code: grpc.StatusCode
    http_status: HTTPStatus
    outcome: str
    """For logs and metrics."""
    message: str
    retry_seconds: float | None = None
    """When to send the same records again; None: never."""
    headers: dict[str, str] = field(default_factory=dict)
    """HTTP only."""

    def retry_info(self) -> RetryInfo | None:
        """The delay as gRPC clients read it."""
        if self.retry_seconds is None:
            return None
        return RetryInfo(retry_delay=_duration(self.retry_seconds))

    def status(self) -> Status:
        """The fault as OTLP sends it on both transports."""
        status = Status(code=self.code.value[0], message=self.message)
        if retry_info := self.retry_info():
            status.details.add().Pack(retry_info)
        return status

    def retry_after(self) -> int | None:
        """The delay as HTTP clients read it: whole seconds."""
        return None if self.retry_seconds is None else max(1, round(self.retry_seconds))


@dataclass(frozen=True, slots=True)
class _Row:
    error: type[BaseException]
    code: grpc.StatusCode
    http_status: HTTPStatus
    outcome: str


_TABLE = (  # the first row whose error fits counts
    _Row(MalformedPayload, grpc.StatusCode.INVALID_ARGUMENT, HTTPStatus.BAD_REQUEST, "malformed"),
    # Not 429: the OpenTelemetry SDK for Python throws data away on that (1.30 to 1.44 at least).
    _Row(Overloaded, grpc.StatusCode.RESOURCE_EXHAUSTED, HTTPStatus.SERVICE_UNAVAILABLE, "overloaded"),
    _Row(Unavailable, grpc.StatusCode.UNAVAILABLE, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable"),
    # Without RetryInfo, which is what makes them final.
    _Row(TooLarge, grpc.StatusCode.RESOURCE_EXHAUSTED, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large"),
    _Row(PayloadTooLarge, grpc.StatusCode.RESOURCE_EXHAUSTED, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large"),
    _Row(ClientGone, grpc.StatusCode.CANCELLED, HTTPStatus.BAD_REQUEST, "client_gone"),
    _Row(NotFound, grpc.StatusCode.NOT_FOUND, HTTPStatus.NOT_FOUND, "not_found"),
    # gRPC's status for a call that has not exactly one message.
    _Row(NoMessage, grpc.StatusCode.UNIMPLEMENTED, HTTPStatus.BAD_REQUEST, "no_message"),
    _Row(MethodNotAllowed, grpc.StatusCode.UNIMPLEMENTED, HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed"),
    _Row(UnsupportedMediaType, grpc.StatusCode.INVALID_ARGUMENT, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported"),
)
# Clients throw data away on UNKNOWN, INTERNAL and 500: what we did not foresee is worth another try.
_UNFORESEEN = _Row(BaseException, grpc.StatusCode.UNAVAILABLE, HTTPStatus.SERVICE_UNAVAILABLE, "error")
_STOPPED = _Row(asyncio.CancelledError, grpc.StatusCode.UNAVAILABLE, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable")


def describe(
    error: BaseException,
    jitter: Callable[[], float] = random.random,
    wait: Callable[[float], float] = lambda most: most,
) -> Fault:
    """What to tell a client for an error.

    `jitter`: uniform in [0, 1), so that a fleet does not return in step. `wait`: turns the longest time to wait, in
    seconds, into that to tell.
    """
    row = next((row for row in _TABLE if isinstance(error, row.error)), None)
    if row is not None:
        message = str(error)[:MAX_MESSAGE_CHARACTERS]
        retry = error.retry_after if isinstance(error, Unavailable) else None
        headers = error.headers if isinstance(error, _HeaderError) else {}
    else:
        # The text of such an error is not for strangers; the log has it.
        row = _STOPPED if isinstance(error, asyncio.CancelledError) else _UNFORESEEN
        message = "the records could not be taken because of an internal error: send them again later"
        retry, headers = _RETRY_UNKNOWN_SECONDS, {}
    if isinstance(error, ExporterError) and not message:
        message = row.outcome
    retry = None if retry is None else wait(retry)
    return Fault(row.code, row.http_status, row.outcome, message, _spread(retry, jitter), headers)


def unreadable(http_status: HTTPStatus, reason: str) -> Fault:
    """What to tell a client whose request never came to be one. `reason`: our own words, nothing of the request's."""
    if http_status is HTTPStatus.SERVICE_UNAVAILABLE:
        return Fault(grpc.StatusCode.UNAVAILABLE, http_status, "error", reason, _RETRY_UNKNOWN_SECONDS)
    return Fault(grpc.StatusCode.INVALID_ARGUMENT, http_status, "not_http", reason)


def is_unforeseen(fault: Fault) -> bool:
    """Whether it stands for a bug rather than for something that happens."""
    return fault.outcome == _UNFORESEEN.outcome


def _spread(seconds: float | None, jitter: Callable[[], float]) -> float | None:
    """Up to a quarter more."""
    return None if seconds is None else seconds * (1.0 + jitter() * _JITTER)


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration
