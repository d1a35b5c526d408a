from __future__ import annotations

import asyncio

import grpc
import pytest

from exporter import MalformedPayload, Overloaded, Unavailable
from receiver.errors import PayloadTooLarge, describe

RETRYABLE_HTTP = {429, 502, 503, 504}
RETRYABLE_GRPC = {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"}


@pytest.mark.parametrize(
    ("error", "code", "http_status", "again"),
    [
        (MalformedPayload("bad"), grpc.StatusCode.INVALID_ARGUMENT, 400, False),
        (Unavailable("away"), grpc.StatusCode.UNAVAILABLE, 503, True),
        (Overloaded("full"), grpc.StatusCode.RESOURCE_EXHAUSTED, 503, True),
        (PayloadTooLarge("big"), grpc.StatusCode.RESOURCE_EXHAUSTED, 413, False),
        (RuntimeError("bug"), grpc.StatusCode.UNAVAILABLE, 503, True),
        (asyncio.CancelledError(), grpc.StatusCode.UNAVAILABLE, 503, True),
    ],
)
def test_describe_error_says_same_to_both_transports(
    error: BaseException, code: grpc.StatusCode, http_status: int, again: bool
) -> None:
    fault = describe(error)

    assert (fault.code, fault.http_status) == (code, http_status)
    assert (fault.http_status in RETRYABLE_HTTP) is again
    assert (code.name in RETRYABLE_GRPC or fault.retry_info() is not None) is again
    assert (fault.retry_after() is not None) is again
    assert len(fault.status().details) == again


@pytest.mark.parametrize(("asked", "least", "most"), [(0.0, 1, 1), (1.0, 1, 1), (1.2, 1, 1), (40.0, 40, 50)])
def test_retry_after_is_in_whole_seconds_and_spread(asked: float, least: int, most: int) -> None:
    error = Unavailable("away", asked)

    earliest, latest = describe(error, lambda: 0.0), describe(error, lambda: 0.999)

    assert (earliest.retry_after(), latest.retry_after()) == (least, most)
    info = earliest.retry_info()
    assert info is not None
    assert info.retry_delay.ToMilliseconds() == asked * 1000
