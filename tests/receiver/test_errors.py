from __future__ import annotations

import asyncio

import grpc
import pytest

from exporter import MalformedPayload, Overloaded, Unavailable
from receiver.errors import PayloadTooLarge, UnsupportedMediaType, describe, is_unforeseen

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
    assert info.retry_delay.ToNanoseconds() == asked * 1e9


@pytest.mark.parametrize(
    ("error", "outcome", "unforeseen"),
    [(RuntimeError("secret"), "error", True), (asyncio.CancelledError("secret"), "unavailable", False)],
)
def test_describe_error_that_is_not_the_requests_tells_a_bug_from_a_stop_and_keeps_its_text(
    error: BaseException, outcome: str, unforeseen: bool
) -> None:
    fault = describe(error)

    assert (fault.outcome, is_unforeseen(fault)) == (outcome, unforeseen)
    assert fault.message == "the records could not be taken because of an internal error: send them again later"


def test_describe_error_without_text_says_what_kind_it_is() -> None:
    assert describe(Unavailable("")).message == "unavailable"


def test_describe_refusal_gives_its_header_where_it_has_one() -> None:
    refusal = UnsupportedMediaType("no", ("Accept", "application/json"))

    assert (describe(refusal).message, describe(refusal).headers) == ("no", {"Accept": "application/json"})
    assert describe(UnsupportedMediaType("no")).headers == {}


def test_status_of_a_fault_has_its_code_and_text() -> None:
    status = describe(MalformedPayload("bad")).status()

    assert (status.code, status.message) == (grpc.StatusCode.INVALID_ARGUMENT.value[0], "bad")
