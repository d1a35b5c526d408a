"""What surrounds every request, whatever its transport: its id, its log lines, its count, its end."""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from google.protobuf.message import Message

from exporter import Signal
from receiver.errors import Fault, describe, is_unforeseen
from receiver.refusal_log import RefusalLog
from receiver.retry_hints import RetryHints

REQUEST_ID = "x-request-id"
"""HTTP header and gRPC metadata key of an id that the client chose."""
_SANE_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
CANCELLED = "cancelled"


class RequestIds:
    """Ids for requests: unique in a run, and unlike those of other runs; cheaper than a UUID for each."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(4)
        self._numbers = itertools.count(1)

    def choose(self, offered: str | bytes | None) -> str:
        """The client's id where it is fit for a log line, else one of our own."""
        if isinstance(offered, str) and _SANE_ID.fullmatch(offered):
            return offered
        return f"{self._prefix}-{next(self._numbers):x}"


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as its log lines name it."""

    signal: Signal | None
    """None: it was for no signal we know."""
    transport: str
    peer: str
    request_id: str


class CallMetrics(Protocol):
    """Where answers are counted."""

    def answered(self, signal: Signal | None, transport: str, outcome: str, seconds: float) -> None:
        """Count one answer."""
        ...


class Calls:
    """Runs the work of requests so that each ends in an answer, a count and at most one log line."""

    def __init__(self, metrics: CallMetrics, refusals: RefusalLog) -> None:
        self._metrics = metrics
        self._refusals = refusals
        self._log = structlog.stdlib.get_logger(__name__)
        self._ids = RequestIds()
        self._hints = RetryHints()

    def request_id(self, offered: str | bytes | None) -> str:
        """See `RequestIds.choose`."""
        return self._ids.choose(offered)

    async def answer(self, call: Call, work: Coroutine[Any, Any, Message]) -> Message | Fault:
        """The response that `work` makes, or what to tell the client instead.

        Raises:
            asyncio.CancelledError: the client went away or the grace time is over.
        """
        # Both transports run each request in a task of its own, so that there is nothing to take back afterwards.
        structlog.contextvars.bind_contextvars(
            request_id=call.request_id,
            transport=call.transport,
            signal=call.signal.name if call.signal else None,
            peer=call.peer,
        )
        started = time.perf_counter()
        answer: Message | Fault
        try:
            answer = await work
        except asyncio.CancelledError as error:
            if _is_being_cancelled():
                self._finish(call, CANCELLED, started)
                raise
            # Something below was cancelled, not this request. Let through, it would leave the client without an answer.
            answer = self._refuse(call, error)
        except Exception as error:  # the last line of defence: nothing may escape to the transports
            answer = self._refuse(call, error)
        else:
            self._hints.served(client_of(call.peer))
        self._finish(call, answer.outcome if isinstance(answer, Fault) else _outcome(answer), started)
        return answer

    def _refuse(self, call: Call, error: BaseException) -> Fault:
        fault = describe(error, wait=lambda most: self._hints.seconds(client_of(call.peer), most))
        with suppress(Exception):  # a log that cannot be written (disk full, pipe closed) must not change the answer
            self._refusals.write(fault.outcome, str(error), error if is_unforeseen(fault) else None)
        return fault

    def _finish(self, call: Call, outcome: str, started: float) -> None:
        seconds = time.perf_counter() - started
        self._metrics.answered(call.signal, call.transport, outcome, seconds)
        with suppress(Exception):  # as above
            self._log.debug("request answered", outcome=outcome, seconds=round(seconds, 6))


def client_of(peer: str) -> str:
    """The host of a peer, without the port that each connection has anew."""
    return peer.rpartition(":")[0] or peer


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _outcome(response: Message) -> str:
    return "partial" if response.ListFields() else "ok"
