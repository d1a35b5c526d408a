"""Every setting. A field's alias is its name in the environment; `takes` is what error messages say it takes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import ByteSize, Field, ValidationInfo, field_validator
from pydantic.config import JsonDict
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from sidecar.settings.secret_files import SecretFiles
from sidecar.settings.types import AutoEndpoint, DatabaseName, Duration, Endpoint, MongoUri, Retention, TextList

_KIB, _MIB, _GIB = 1 << 10, 1 << 20, 1 << 30
_ADDRESS = "host:port (port 0 picks a free one), unix:/path, or off"
_URI = "a connection string, as in mongodb://user:password@host:27017"
_DATABASE = 'a database name of at most 63 bytes without / \\ . " $ * < > : | ? and blanks'
_BOOL = "true or false"
_RETENTION = (
    "a duration of 1m to 10 years (3650d), as in 7d or 36h, or off, which keeps them for ever; empty leaves it as "
    "MongoDB has it"
)


def _setting(default: Any, name: str, description: str, takes: str, **bounds: Any) -> Any:
    extra: JsonDict = {"takes": takes}
    return Field(default, validation_alias=name, description=description, json_schema_extra=extra, **bounds)


class Settings(BaseSettings):
    """What a user sets. Immutable; durations are `timedelta`, sizes are in bytes."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", case_sensitive=True, env_file=".env", hide_input_in_errors=True
    )

    # Where records go
    mongodb_uri: MongoUri | None = _setting(None, "MONGODB_URI", "The local MongoDB, which is required.", _URI)
    mongodb_database: DatabaseName = _setting("otel", "MONGODB_DATABASE", "Its database.", _DATABASE)
    cloud_uri: MongoUri | None = _setting(None, "MONGODB_CLOUD_URI", "A second MongoDB, if any.", _URI)
    cloud_database: DatabaseName | None = _setting(
        None, "MONGODB_CLOUD_DATABASE", "The second one's database; the local one's name when not set.", _DATABASE
    )

    server_api: Literal["1"] | None = _setting(
        None,
        "OTLP_MONGO_SERVER_API",
        "The version of MongoDB's Stable API to declare, for a server that requires one.",
        "1; empty declares none",
    )
    server_api_strict: bool = _setting(
        False, "OTLP_MONGO_SERVER_API_STRICT", "Have MongoDB refuse what is not in that version.", _BOOL
    )

    # Where we listen
    grpc_endpoint: Endpoint = _setting("127.0.0.1:4317", "OTLP_MONGO_GRPC_ENDPOINT", "OTLP over gRPC.", _ADDRESS)
    http_endpoint: Endpoint = _setting("127.0.0.1:4318", "OTLP_MONGO_HTTP_ENDPOINT", "OTLP over HTTP.", _ADDRESS)
    admin_endpoint: Endpoint = _setting(
        "127.0.0.1:13133", "OTLP_MONGO_ADMIN_ENDPOINT", "Health, readiness, metrics and a status page.", _ADDRESS
    )
    admin_grpc_endpoint: AutoEndpoint = _setting(
        "auto",
        "OTLP_MONGO_ADMIN_GRPC_ENDPOINT",
        "What the commands buffer and dead-letters talk to; auto: a Unix socket in the data folder.",
        "auto, unix:/path, off, or a port of this machine alone, as in 127.0.0.1:13134",
    )
    cors_origins: TextList = _setting(
        (),
        "OTLP_MONGO_CORS_ORIGINS",
        "Origins whose browser SDKs may send over HTTP.",
        "origins with commas between them, or *",
    )

    # Bounds
    max_request_bytes: ByteSize = _setting(
        ByteSize(20 * _MIB),
        "OTLP_MONGO_MAX_REQUEST_BYTES",
        "The largest request, compressed or not.",
        "a size from 1KiB to 1GiB, as in 20MiB",
        ge=_KIB,
        le=_GIB,
    )
    memory_budget: ByteSize = _setting(
        ByteSize(128 * _MIB),
        "OTLP_MONGO_MEMORY_BUDGET",
        "Bytes of requests in flight; past it, senders are told to retry later.",
        "a size from 1MiB to 64GiB, as in 128MiB, not below OTLP_MONGO_MAX_REQUEST_BYTES",
        ge=_MIB,
        le=64 * _GIB,
    )

    max_header_bytes: ByteSize = _setting(
        ByteSize(16 * _KIB),
        "OTLP_MONGO_MAX_HEADER_BYTES",
        "A call's metadata over gRPC; a header, and the first line, over HTTP.",
        "a size from 1KiB to 1MiB, as in 16KiB",
        ge=_KIB,
        le=_MIB,
    )
    max_request_records: int = _setting(
        1_000_000,
        "OTLP_MONGO_MAX_REQUEST_RECORDS",
        "The most spans, log records or data points in a request.",
        "a whole number from 1 to 100000000",
        ge=1,
        le=100_000_000,
    )

    # Documents
    deduplicate: bool = _setting(
        True, "OTLP_MONGO_DEDUPLICATE", "Give the same request the same _ids, so that a retry stores no copy.", _BOOL
    )
    metrics_timeseries: bool = _setting(
        False,
        "OTLP_MONGO_METRICS_TIMESERIES",
        "Store metrics in a time-series collection, without deduplication.",
        _BOOL,
    )
    create_indexes: bool = _setting(True, "OTLP_MONGO_CREATE_INDEXES", "Make collections and indexes at start.", _BOOL)
    retention_spans: Retention | None = _setting(None, "OTLP_MONGO_RETENTION_SPANS", "Delete spans after.", _RETENTION)
    retention_logs: Retention | None = _setting(
        None, "OTLP_MONGO_RETENTION_LOGS", "Delete log records after.", _RETENTION
    )
    retention_metrics: Retention | None = _setting(
        None, "OTLP_MONGO_RETENTION_METRICS", "Delete metric data points after.", _RETENTION
    )
    transcoder: Literal["auto", "native", "reference"] = _setting(
        "auto",
        "OTLP_MONGO_TRANSCODER",
        "What turns OTLP into documents, and JSON into OTLP.",
        "auto, native or reference",
    )

    # Delivery
    insert_timeout: Duration = _setting(
        timedelta(seconds=4),
        "OTLP_MONGO_INSERT_TIMEOUT",
        "How long an insert into the local MongoDB may take before its records go to the retry buffer.",
        "a duration from 100ms to 5m, as in 4s",
        ge=timedelta(milliseconds=100),
        le=timedelta(minutes=5),
    )
    cloud_insert_timeout: Duration = _setting(
        timedelta(seconds=1),
        "OTLP_MONGO_CLOUD_INSERT_TIMEOUT",
        "The same for the second MongoDB: how long a slow one may hold up answers.",
        "a duration from 10ms to 5m, as in 1s",
        ge=timedelta(milliseconds=10),
        le=timedelta(minutes=5),
    )
    insert_concurrency: int = _setting(
        2,
        "OTLP_MONGO_INSERT_CONCURRENCY",
        "Inserts at the same time, for each MongoDB and collection; requests that wait meanwhile go together.",
        "a whole number from 1 to 64",
        ge=1,
        le=64,
    )

    # The retry buffer
    buffer_max_bytes: ByteSize = _setting(
        ByteSize(1 * _GIB),
        "OTLP_MONGO_BUFFER_MAX_BYTES",
        "What the retry buffer may take on disk; past it, senders are told to retry later.",
        "a size from 1MiB to 16TiB, as in 1GiB",
        ge=_MIB,
        le=16384 * _GIB,
    )
    buffer_overflow: Literal["refuse", "drop_oldest"] = _setting(
        "refuse",
        "OTLP_MONGO_BUFFER_OVERFLOW",
        "What a full buffer does: refuse what is new, or drop and count the oldest.",
        "refuse or drop_oldest",
    )

    # Running
    data_dir: Path = _setting(
        Path("data"), "OTLP_MONGO_DATA_DIR", "The folder for all that is kept on disk.", "the path of a folder"
    )
    start_timeout: Duration = _setting(
        timedelta(seconds=10),
        "OTLP_MONGO_START_TIMEOUT",
        "How long the commands check and init wait for MongoDB.",
        "a duration from 100ms to 10m, as in 10s",
        ge=timedelta(milliseconds=100),
        le=timedelta(minutes=10),
    )
    drain_delay: Duration = _setting(
        timedelta(0),
        "OTLP_MONGO_DRAIN_DELAY",
        "How long to go on accepting after SIGTERM: the app beside it stops at the same time and still sends.",
        "a duration from 0s to 5m, as in 5s, below OTLP_MONGO_SHUTDOWN_GRACE",
        ge=timedelta(0),
        le=timedelta(minutes=5),
    )
    shutdown_grace: Duration = _setting(
        timedelta(seconds=25),
        "OTLP_MONGO_SHUTDOWN_GRACE",
        "How long a stop may take; ECS kills 30 s after SIGTERM.",
        "a duration from 0s to 10m, as in 25s",
        ge=timedelta(0),
        le=timedelta(minutes=10),
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", "OTLP_MONGO_LOG_LEVEL", "The least severe lines to log.", "debug, info, warning or error"
    )
    log_format: Literal["auto", "json", "console"] = _setting(
        "auto", "OTLP_MONGO_LOG_FORMAT", "auto: console on a terminal, else json.", "auto, json or console"
    )

    @field_validator("*", mode="before")
    @classmethod
    def _empty_means_default(cls, value: object, info: ValidationInfo) -> object:
        """Compose files and task definitions pass variables on that nobody set. An empty endpoint is one turned off."""
        if value == "" and info.field_name and not info.field_name.endswith("_endpoint"):
            return cls.model_fields[info.field_name].get_default()
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment before `.env`; in each, a secret by value or by file."""
        layers = [source for source in (env_settings, dotenv_settings) if isinstance(source, EnvSettingsSource)]
        return (
            init_settings,
            *(part for layer in layers for part in (layer, SecretFiles(settings_cls, layer.env_vars))),
        )
