"""What the retry buffer tells Prometheus. What waits in it is delivery's to report (`BacklogCollector`)."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

PREFIX = "otlp_mongo_exporter_buffer"
_COMMIT_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class BufferMetrics:
    """The metrics of one buffer."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.commit_seconds = Histogram(
            f"{PREFIX}_commit_duration_seconds",
            "Writing one group of batches, fsync included",
            buckets=_COMMIT_BUCKETS,
            registry=registry,
        )
        self.refused = Counter(
            f"{PREFIX}_refused_batches", "Batches that were not taken", ("reason",), registry=registry
        )
        self.dropped = Counter(
            f"{PREFIX}_dropped_records",
            "Records thrown away at the bound, as the setting asks",
            ("destination",),
            registry=registry,
        )
        self.damaged_batches = Counter(
            f"{PREFIX}_damaged_batches", "Batches lost to damage of the files", registry=registry
        )
        self.set_aside = Counter(f"{PREFIX}_set_aside_files", "Damaged files moved out of the way", registry=registry)
        self.missing = Counter(f"{PREFIX}_missing_files", "Files that were gone", registry=registry)
        self.disk_bytes = Gauge(f"{PREFIX}_disk_bytes", "What the buffer's files take on disk", registry=registry)
        self.unreadable = Gauge(
            f"{PREFIX}_unreadable_files", "Files that cannot be read now and are tried again", registry=registry
        )
        self.damaged_bytes = Gauge(
            f"{PREFIX}_damaged_disk_bytes", "What the damaged files take on disk", registry=registry
        )
        for reason in ("full", "failed", "too_large"):
            self.refused.labels(reason)
