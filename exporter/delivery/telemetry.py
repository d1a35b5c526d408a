"""What delivery tells Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from exporter.batch import Batch
from exporter.interfaces import Backlog, BatchBuffer
from exporter.signals import SIGNALS, Signal

_LABELS = ("destination", "signal")


class DeliveryMetrics:
    """Counts of what went to the buffer, came back from it and became a dead letter, by destination and signal."""

    def __init__(self, registry: CollectorRegistry, destinations: Iterable[str]) -> None:
        self._buffered = Counter(
            "otlp_mongo_exporter_buffered_records",
            "Records appended to the retry buffer",
            _LABELS,
            registry=registry,
        )
        self._replayed = Counter(
            "otlp_mongo_exporter_replayed_records",
            "Records brought from the retry buffer to their destination",
            _LABELS,
            registry=registry,
        )
        self._dead_letters = Counter(
            "otlp_mongo_exporter_dead_letters",
            "Records that MongoDB can never take, kept as dead letters",
            _LABELS,
            registry=registry,
        )
        self._open = Gauge(
            "otlp_mongo_exporter_destination_open",
            "1 while the destination is not tried and its batches go to the retry buffer",
            ("destination",),
            registry=registry,
        )
        self._blocked = Gauge(
            "otlp_mongo_exporter_signal_blocked",
            "1 while a signal's batches go to the retry buffer though the destination is up",
            _LABELS,
            registry=registry,
        )
        self._aside = Gauge(
            "otlp_mongo_exporter_batches_set_aside",
            "Batches in the retry buffer that fail while others pass, and are tried again by themselves",
            _LABELS,
            registry=registry,
        )
        for destination in destinations:
            self._open.labels(destination)
            for signal in SIGNALS:
                self._blocked.labels(destination, signal)
                self._aside.labels(destination, signal)
                for counter in (self._buffered, self._replayed, self._dead_letters):
                    counter.labels(destination, signal)

    def buffered(self, destination: str, batch: Batch) -> None:
        self._buffered.labels(destination, batch.signal.name).inc(batch.records)

    def replayed(self, destination: str, signal: Signal, records: int) -> None:
        self._replayed.labels(destination, signal.name).inc(records)

    def dead_letters(self, destination: str, batch: Batch, count: int) -> None:
        self._dead_letters.labels(destination, batch.signal.name).inc(count)

    def destination_open(self, destination: str, is_open: bool) -> None:
        self._open.labels(destination).set(is_open)

    def signal_blocked(self, destination: str, signal: Signal, is_blocked: bool) -> None:
        self._blocked.labels(destination, signal.name).set(is_blocked)

    def set_aside(self, destination: str, signal: Signal, batches: int) -> None:
        self._aside.labels(destination, signal.name).set(batches)


class BacklogCollector(Collector):
    """The retry buffer's backlog, read when Prometheus asks."""

    def __init__(self, buffer: BatchBuffer) -> None:
        self._buffer = buffer

    def collect(self) -> Iterable[Metric]:
        status: Mapping[str, Backlog] = self._buffer.status()
        for name, unit in (("batches", "Batches"), ("records", "Records"), ("bytes", "Bytes of payload")):
            gauge = GaugeMetricFamily(
                f"otlp_mongo_exporter_backlog_{name}",
                f"{unit} that wait in the retry buffer",
                labels=("destination",),
            )
            for destination, backlog in status.items():
                gauge.add_metric((destination,), getattr(backlog, name))
            yield gauge
        oldest = GaugeMetricFamily(
            "otlp_mongo_exporter_backlog_oldest_timestamp_seconds",
            "When the oldest batch that waits was received; absent when none waits",
            labels=("destination",),
        )
        for destination, backlog in status.items():
            if backlog.oldest_unix_nano:
                oldest.add_metric((destination,), backlog.oldest_unix_nano / 1e9)
        yield oldest
