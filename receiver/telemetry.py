"""The receiver's own metrics."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from exporter import SIGNALS, Signal

_PREFIX = "otlp_mongo_receiver"
_DURATION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
NO_SIGNAL = "none"
"""The label of a request that was for no signal we know."""


class ReceiverMetrics:
    """What came in and what became of it. Labels are bound once: a count costs an addition."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            f"{_PREFIX}_requests", "Export requests answered", ["signal", "transport", "outcome"], registry=registry
        )
        self._duration = Histogram(
            f"{_PREFIX}_request_duration_seconds",
            "From the request's headers to its answer",
            ["signal", "transport"],
            buckets=_DURATION_BUCKETS,
            registry=registry,
        )
        received = Counter(
            f"{_PREFIX}_received_bytes", "OTLP protobuf bytes taken in, decompressed", ["signal"], registry=registry
        )
        accepted = Counter(
            f"{_PREFIX}_accepted_records", "Records acknowledged as durable", ["signal"], registry=registry
        )
        refused = Counter(
            f"{_PREFIX}_refused_records",
            "Records refused for good or to be sent again, once for each try",
            ["signal"],
            registry=registry,
        )
        mended = Counter(
            f"{_PREFIX}_mended_requests",
            "Requests in JSON that had to be read otherwise than they were written",
            ["signal"],
            registry=registry,
        )
        self._in_flight = Gauge(f"{_PREFIX}_in_flight_bytes", "Bytes of requests in flight", registry=registry)
        self.received_bytes = {signal: received.labels(name) for name, signal in SIGNALS.items()}
        self.accepted_records = {signal: accepted.labels(name) for name, signal in SIGNALS.items()}
        self.refused_records = {signal: refused.labels(name) for name, signal in SIGNALS.items()}
        self.mended = {signal: mended.labels(name) for name, signal in SIGNALS.items()}
        self._bound_requests = cache(self._requests.labels)
        self._bound_durations = cache(self._duration.labels)

    def watch_in_flight(self, read: Callable[[], int]) -> None:
        """Where the bytes in flight are read when somebody asks."""
        self._in_flight.set_function(read)

    def answered(self, signal: Signal | None, transport: str, outcome: str, seconds: float) -> None:
        """Count one answer."""
        name = signal.name if signal else NO_SIGNAL
        self._bound_requests(name, transport, outcome).inc()
        self._bound_durations(name, transport).observe(seconds)
