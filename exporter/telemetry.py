"""What the exporter tells Prometheus. Labels are bound once, so that a count is an addition."""

from __future__ import annotations

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from exporter.interfaces import InsertResult

PREFIX = "otlp_mongo_exporter"
_BY_COLLECTION = ("destination", "collection")
_DOCUMENT_BUCKETS = (1, 5, 10, 25, 50, 100, 250, 500, 1000, 2000, 4000)
_DURATION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class ExporterMetrics:
    """The metrics of all destinations of one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.stored = Counter(
            f"{PREFIX}_stored_documents", "Documents that an insert added", _BY_COLLECTION, registry=registry
        )
        self.duplicates = Counter(
            f"{PREFIX}_duplicate_documents", "Documents that were stored already", _BY_COLLECTION, registry=registry
        )
        self.refused = Counter(
            f"{PREFIX}_refused_documents", "Documents that MongoDB will never take", _BY_COLLECTION, registry=registry
        )
        self.insert_documents = Histogram(
            f"{PREFIX}_insert_documents",
            "Documents of an insert command that MongoDB answered",
            _BY_COLLECTION,
            buckets=_DOCUMENT_BUCKETS,
            registry=registry,
        )
        self.insert_duration = Histogram(
            f"{PREFIX}_insert_duration_seconds",
            "From sending an insert command to MongoDB's answer",
            _BY_COLLECTION,
            buckets=_DURATION_BUCKETS,
            registry=registry,
        )
        self.failures = Counter(
            f"{PREFIX}_insert_failures",
            "Insert commands after which the documents have to be inserted again",
            ("destination", "reason"),
            registry=registry,
        )
        self.up = Gauge(
            f"{PREFIX}_destination_up",
            "1 while the driver knows a server of the destination that takes writes",
            ("destination",),
            registry=registry,
        )

        self.weak = Gauge(
            f"{PREFIX}_write_concern_below_majority",
            "1 while records that the destination acknowledged may be lost: w is below the majority, or no journal",
            ("destination",),
            registry=registry,
        )
        self._transcoder = Info(f"{PREFIX}_transcoder", "The transcoder at work", registry=registry)

    def transcoder_chosen(self, name: str) -> None:
        """Tell which transcoder it is: by its label `name`."""
        self._transcoder.info({"name": name})

    def destination(self, name: str) -> DestinationMetrics:
        """The metrics of one destination."""
        return DestinationMetrics(self, name)


class DestinationMetrics:
    """What one destination counts."""

    def __init__(self, metrics: ExporterMetrics, destination: str) -> None:
        self._stored = cache(lambda collection: metrics.stored.labels(destination, collection))
        self._duplicates = cache(lambda collection: metrics.duplicates.labels(destination, collection))
        self._refused = cache(lambda collection: metrics.refused.labels(destination, collection))
        self._documents = cache(lambda collection: metrics.insert_documents.labels(destination, collection))
        self._duration = cache(lambda collection: metrics.insert_duration.labels(destination, collection))
        self._failures = cache(lambda reason: metrics.failures.labels(destination, reason))
        self._up = metrics.up.labels(destination)
        self._weak = metrics.weak.labels(destination)

    def stored(self, collection: str, result: InsertResult) -> None:
        """Count what became of one call's documents."""
        self._stored(collection).inc(result.inserted)
        self._duplicates(collection).inc(result.duplicates)
        self._refused(collection).inc(len(result.refusals))

    def insert_done(self, collection: str, documents: int, seconds: float) -> None:
        """Count one insert command that was answered."""
        self._documents(collection).observe(documents)
        self._duration(collection).observe(seconds)

    def failed(self, reason: str) -> None:
        """Count one insert command that has to be repeated later."""
        self._failures(reason).inc()

    def set_up(self, up: bool) -> None:
        """Whether the destination takes writes, as far as the driver knows."""
        self._up.set(up)

    def set_weak(self, weak: bool) -> None:
        """Whether what the destination acknowledges may be lost."""
        self._weak.set(weak)
