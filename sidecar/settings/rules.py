"""What holds between settings."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from sidecar.settings.model import Settings
from sidecar.settings.types import format_bytes, format_duration, is_loopback


def violations(settings: Settings) -> Iterator[str]:
    """A line for each rule that the settings break. Pure."""
    yield from _endpoints(settings)
    if settings.memory_budget < settings.max_request_bytes:
        yield (
            f"OTLP_MONGO_MEMORY_BUDGET: got {format_bytes(settings.memory_budget)}, takes at least "
            f"OTLP_MONGO_MAX_REQUEST_BYTES ({format_bytes(settings.max_request_bytes)}), or large requests never fit"
        )
    yield from _cloud(settings)
    if settings.drain_delay and settings.drain_delay >= settings.shutdown_grace:
        yield (
            f"OTLP_MONGO_DRAIN_DELAY: got {format_duration(settings.drain_delay)}, takes a duration below "
            f"OTLP_MONGO_SHUTDOWN_GRACE ({format_duration(settings.shutdown_grace)}), of which it is a part"
        )
    admin = settings.admin_grpc_endpoint
    if admin not in (None, "auto") and not is_loopback(admin):
        yield (
            f"OTLP_MONGO_ADMIN_GRPC_ENDPOINT: got {admin!r}, takes a Unix socket or a loopback address: who reaches it "
            "may delete records, and it asks nobody who they are"
        )


def warnings(settings: Settings) -> Iterator[str]:
    """A line for each combination that is allowed and does not do what it seems to. Pure."""
    retentions = {
        "OTLP_MONGO_RETENTION_SPANS": settings.retention_spans,
        "OTLP_MONGO_RETENTION_LOGS": settings.retention_logs,
        "OTLP_MONGO_RETENTION_METRICS": settings.retention_metrics,
    }
    without_effect = [name for name, retention in retentions.items() if retention is not None]
    if without_effect and not settings.create_indexes:
        yield (
            f"{', '.join(without_effect)}: without effect, since OTLP_MONGO_CREATE_INDEXES is false: nothing expires "
            "unless you make the TTL indexes, as `otlp-mongo init` does without that setting"
        )
    if settings.server_api_strict and settings.server_api is None:
        yield "OTLP_MONGO_SERVER_API_STRICT: without effect, since OTLP_MONGO_SERVER_API is not set"


def _endpoints(settings: Settings) -> Iterator[str]:
    named = {
        "OTLP_MONGO_GRPC_ENDPOINT": settings.grpc_endpoint,
        "OTLP_MONGO_HTTP_ENDPOINT": settings.http_endpoint,
        "OTLP_MONGO_ADMIN_ENDPOINT": settings.admin_endpoint,
        "OTLP_MONGO_ADMIN_GRPC_ENDPOINT": settings.admin_grpc_endpoint,
    }
    if settings.grpc_endpoint is None and settings.http_endpoint is None:
        yield "OTLP_MONGO_GRPC_ENDPOINT: got off, as did OTLP_MONGO_HTTP_ENDPOINT; takes an address for one of the two"
    for (one, endpoint), (other, same) in combinations(named.items(), 2):
        if endpoint is not None and endpoint == same and not endpoint.endswith(":0"):
            yield f"{other}: got {endpoint!r}, which is {one} too, takes an address of its own"


def _cloud(settings: Settings) -> Iterator[str]:
    if settings.cloud_uri is None:
        if settings.cloud_database is not None:
            yield (
                f"MONGODB_CLOUD_DATABASE: got {settings.cloud_database!r} without MONGODB_CLOUD_URI, takes a name "
                "only beside one"
            )
    elif settings.cloud_uri == settings.mongodb_uri and (settings.cloud_database in (None, settings.mongodb_database)):
        yield "MONGODB_CLOUD_URI: got the same MongoDB and database as MONGODB_URI, takes another one"
