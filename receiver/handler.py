"""What happens to an export request, whatever transport it came by."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from google.protobuf.message import Message

from exporter import BatchFactory, Exporter, ExportResult, Signal
from receiver.admission import MemoryBudget, Reservation
from receiver.calls import Call, Calls
from receiver.errors import Fault
from receiver.refusal_log import RefusalLog
from receiver.telemetry import ReceiverMetrics


class ExportHandler:
    """Turns payloads into batches, hands them to the exporter and words the answer."""

    def __init__(
        self, batches: BatchFactory, exporter: Exporter, budget: MemoryBudget, metrics: ReceiverMetrics
    ) -> None:
        self._batches = batches
        self._exporter = exporter
        self._budget = budget
        self._metrics = metrics
        self.refusals = RefusalLog()
        self.calls = Calls(metrics, self.refusals)
        metrics.watch_in_flight(lambda: budget.in_use)

    def reservation(self) -> Reservation:
        """Room for a request whose bytes arrive bit by bit."""
        return self._budget.reservation()

    async def answer(self, call: Call, work: Coroutine[Any, Any, Message]) -> Message | Fault:
        """See `Calls.answer`; `work` ends in `export`."""
        return await self.calls.answer(call, work)

    async def export(self, signal: Signal, payload: bytes) -> Message:
        """Take a payload that nobody has reserved memory for. Returns the signal's export response.

        Raises:
            MalformedPayload: it is no export request of the signal.
            Overloaded: too much is in flight.
            Unavailable: it could not be made durable now.
        """
        with self.reservation() as reservation:
            reservation.grow_to(len(payload))
            return await self.export_reserved(signal, payload)

    async def export_reserved(self, signal: Signal, payload: bytes) -> Message:
        """As `export`, for a payload whose bytes the caller holds a reservation for."""
        self._metrics.received_bytes[signal].inc(len(payload))
        batch = await self._batches.make_async(signal, payload)
        if not batch.records:
            return signal.response()
        try:
            result = await self._exporter.export(batch)
        except Exception:
            self._metrics.refused_records[signal].inc(batch.records)
            raise
        self._metrics.accepted_records[signal].inc(batch.records - result.rejected)
        if result.rejected:
            self._metrics.refused_records[signal].inc(result.rejected)
        return _response(signal, result)


def _response(signal: Signal, result: ExportResult) -> Message:
    response = signal.response()
    if result.rejected or result.message:
        # OTLP: unset when all is well, and a message without a count is a warning.
        partial = getattr(response, "partial_success")  # noqa: B009 - the field is of all responses, not of Message
        setattr(partial, signal.rejected_field, result.rejected)
        partial.error_message = result.message
    return response
