"""What happens to an export request, whatever transport it came by."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any

from google.protobuf.message import Message

from exporter import ALL_TAKEN, Batch, BatchFactory, Exporter, ExportResult, Signal
from receiver.admission import MemoryBudget, Reservation
from receiver.arrivals import Arrivals
from receiver.calls import Call, Calls
from receiver.errors import Fault, PayloadTooLarge
from receiver.in_flight import InFlight
from receiver.memory import ProcessMemory
from receiver.other_signal import refuse_if_other
from receiver.otlp_json import Converted
from receiver.refusal_log import RefusalLog
from receiver.telemetry import ReceiverMetrics

MAX_RECORDS = 1_000_000
_LARGE_BYTES = 256 * 1024
"""What is larger is looked through in a thread. A small request can stand for seconds of that."""


class ExportHandler:
    """Turns payloads into batches, hands them to the exporter and words the answer."""

    def __init__(
        self,
        batches: BatchFactory,
        exporter: Exporter,
        budget: MemoryBudget,
        metrics: ReceiverMetrics,
        *,
        arrivals: Arrivals | None = None,
        max_records: int = MAX_RECORDS,
    ) -> None:
        """`arrivals`: None for bounds of the usual size. `max_records`: of a request."""
        self._max_records = max_records
        self._large = asyncio.Semaphore(max(1, (os.cpu_count() or 1) - 1))
        self._batches = batches
        self._exporter = exporter
        self._budget = budget
        self._metrics = metrics
        self.arrivals = arrivals or Arrivals(ProcessMemory(), budget.max_bytes)
        """The bodies that either transport waits for."""
        budget.when_full = self.arrivals.make_room
        self.refusals = RefusalLog()
        self.in_flight = InFlight()
        self.calls = Calls(metrics, self.refusals)
        metrics.watch_in_flight(lambda: budget.in_use)

    def reservation(self) -> Reservation:
        """Room for a request whose bytes arrive bit by bit."""
        return self._budget.reservation()

    async def answer(self, call: Call, work: Coroutine[Any, Any, Message]) -> Message | Fault:
        """See `Calls.answer`; `work` ends in `export`."""
        return await self.calls.answer(call, work)

    async def export(
        self, signal: Signal, payload: bytes, reservation: Reservation, converted: Converted | None = None
    ) -> Message:
        """Take a payload. Returns the signal's export response.

        `reservation`: of the caller, for the payload's bytes; it grows by what the documents take.
        `converted`: how the payload was made, if it came in another form.

        Raises:
            MalformedPayload: it is no export request of the signal.
            PayloadTooLarge: it has too many records.
            Overloaded: too much is in flight.
            Unavailable: it could not be made durable now.
        """
        self._metrics.received_bytes[signal].inc(len(payload))
        batch = await self._batch(signal, payload)
        if payload and not batch.first_unix_nano:
            await refuse_if_other(signal, payload)
        rejected = self._unreadable(signal, converted)
        if not batch.records:
            nothing = bool(payload) or (converted is not None and converted.nothing)
            return _response(signal, _together(rejected, _nothing(signal) if nothing else ALL_TAKEN))
        if batch.records > self._max_records:
            raise PayloadTooLarge(
                f"the request has {batch.records} records, more than the {self._max_records} that one may have: "
                "send smaller batches"
            )
        reservation.grow_to(len(payload) + batch.memory_bytes)
        try:
            result = await self._exporter.export(batch)
        except Exception:
            self._metrics.refused_records[signal].inc(batch.records)
            raise
        self._metrics.accepted_records[signal].inc(batch.records - result.rejected)
        if result.rejected:
            self._metrics.refused_records[signal].inc(result.rejected)
        return _response(signal, _together(rejected, result))

    def _unreadable(self, signal: Signal, converted: Converted | None) -> ExportResult:
        """What the conversion to protobuf left out."""
        if converted is None or not converted.mended:
            return ALL_TAKEN
        self._metrics.mended[signal].inc()
        if not converted.rejected:
            return ALL_TAKEN
        self._metrics.refused_records[signal].inc(converted.rejected)
        self.refusals.write("unreadable_records", converted.reason)
        return ExportResult(converted.rejected, converted.reason)

    async def _batch(self, signal: Signal, payload: bytes) -> Batch:
        if len(payload) <= _LARGE_BYTES:
            return await self._batches.make_async(signal, payload)
        async with self._large:  # a core is left for everything else
            return await self._batches.make_async(signal, payload)


def _together(first: ExportResult, second: ExportResult) -> ExportResult:
    if first is ALL_TAKEN:
        return second
    messages = "; ".join(filter(None, (first.message, second.message)))
    return ExportResult(first.rejected + second.rejected, messages)


def _nothing(signal: Signal) -> ExportResult:
    return ExportResult(message=f"the request has no {signal.record}s, though it is not empty: nothing was stored")


def _response(signal: Signal, result: ExportResult) -> Message:
    response = signal.response()
    if result.rejected or result.message:
        # OTLP: unset when all is well, and a message without a count is a warning.
        partial = getattr(response, "partial_success")  # noqa: B009 - the field is of all responses, not of Message
        setattr(partial, signal.rejected_field, result.rejected)
        partial.error_message = result.message
    return response
