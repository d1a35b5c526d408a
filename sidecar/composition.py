"""Building the parts from the settings: the one place that knows which class plays which role."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from exporter import BatchFactory, Exporter
from exporter.buffer import BufferConfig
from exporter.delivery import DeliveryConfig
from exporter.interfaces import Transcoder
from exporter.mongodb import MongoConfig
from receiver.admission import MemoryBudget
from receiver.arrivals import Arrivals
from receiver.grpc_receiver import GrpcReceiver
from receiver.handler import ExportHandler
from receiver.http_receiver import HttpReceiver
from receiver.memory import ProcessMemory
from receiver.otlp_json import Converter, ConverterMissing, select_converter
from receiver.telemetry import ReceiverMetrics
from sidecar.errors import UsageError, UserError
from sidecar.settings import Settings

Receiver = GrpcReceiver | HttpReceiver

URI_SETTINGS = {"local": "MONGODB_URI", "cloud": "MONGODB_CLOUD_URI"}
"""By the destination's name."""


def destination_configs(settings: Settings, local_uri: str) -> Iterator[MongoConfig]:
    """The MongoDBs to store in, the local one first. `local_uri`: of the settings, or of the embedded mongod."""
    yield _config(settings, "local", local_uri, settings.mongodb_database)
    if settings.cloud_uri is not None:
        database = settings.cloud_database or settings.mongodb_database
        yield _config(settings, "cloud", settings.cloud_uri.get_secret_value(), database)


def uri_readers(read_settings: Callable[[], Settings], *, embedded: bool) -> Mapping[str, Callable[[], str]]:
    """How each destination reads its URI again, by its name; the embedded mongod's does not change.

    A reader reads files, and raises ValueError when the settings are wrong now.
    """

    def read(setting: str, choose: Callable[[Settings], SecretStr | None]) -> str:
        try:
            uri = choose(read_settings())
        except UserError as error:
            raise ValueError(str(error)) from None
        if uri is None:
            raise ValueError(f"{setting}: is not set any more")
        return uri.get_secret_value()

    readers: dict[str, Callable[[], str]] = {"cloud": partial(read, URI_SETTINGS["cloud"], lambda now: now.cloud_uri)}
    if not embedded:
        readers["local"] = partial(read, URI_SETTINGS["local"], lambda now: now.mongodb_uri)
    return readers


def _config(settings: Settings, name: str, uri: str, database: str) -> MongoConfig:
    return MongoConfig(
        name=name,
        uri=uri,
        database=database,
        retention=_retention(settings),
        metrics_timeseries=settings.metrics_timeseries,
        inserts_in_flight=settings.insert_concurrency,
        server_api=settings.server_api or "",
        server_api_strict=settings.server_api_strict,
    )


def _retention(settings: Settings) -> Mapping[str, timedelta | None]:
    """By signal name, those that are set; None where it is off."""
    by_signal = {
        "traces": settings.retention_spans,
        "logs": settings.retention_logs,
        "metrics": settings.retention_metrics,
    }
    return {
        signal: None if retention == "off" else retention
        for signal, retention in by_signal.items()
        if retention is not None
    }


def delivery_config(settings: Settings, destination: str) -> DeliveryConfig:
    """How to deliver to a destination."""
    timeout = settings.insert_timeout if destination == "local" else settings.cloud_insert_timeout
    return DeliveryConfig(insert_timeout=timeout.total_seconds())


def buffer_config(settings: Settings, folder: Path) -> BufferConfig:
    """`folder`: where the buffer lies."""
    return BufferConfig(folder, settings.buffer_max_bytes, settings.buffer_overflow)


def build_receivers(
    settings: Settings, transcoder: Transcoder, exporter: Exporter, registry: CollectorRegistry
) -> Mapping[str, Receiver]:
    """The receivers that have an endpoint, by the name of their setting.

    Raises:
        UsageError: the JSON converter that is set is not there.
    """
    batches = BatchFactory(transcoder, deduplicate=settings.deduplicate)
    budget, metrics = MemoryBudget(settings.memory_budget), ReceiverMetrics(registry)
    # What gRPC is receiving is in no budget: it may take a quarter more than what is.
    arrivals = Arrivals(ProcessMemory(), settings.memory_budget * 5 // 4)
    handler = ExportHandler(
        batches, exporter, budget, metrics, arrivals=arrivals, max_records=settings.max_request_records
    )
    size = settings.max_request_bytes
    receivers: dict[str, Receiver] = {}
    if settings.grpc_endpoint:
        receivers["OTLP_MONGO_GRPC_ENDPOINT"] = GrpcReceiver(
            settings.grpc_endpoint, handler, max_request_bytes=size, max_header_bytes=settings.max_header_bytes
        )
    if settings.http_endpoint:
        receivers["OTLP_MONGO_HTTP_ENDPOINT"] = HttpReceiver(
            settings.http_endpoint,
            handler,
            converter=_converter(settings),
            max_request_bytes=size,
            max_header_bytes=settings.max_header_bytes,
            cors_allowed_origins=settings.cors_origins,
        )
    return receivers


def _converter(settings: Settings) -> Converter:
    try:
        return select_converter(settings.transcoder)
    except ConverterMissing as error:
        raise UsageError(str(error)) from error
