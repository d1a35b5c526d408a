"""`otlp-mongo init`."""

from __future__ import annotations

import asyncio
import sys

from prometheus_client import CollectorRegistry

from exporter.errors import DestinationMisconfigured, DestinationUnavailable
from exporter.mongodb import MongoConfig, MongoDestination
from exporter.telemetry import ExporterMetrics
from sidecar import logs
from sidecar.composition import destination_configs
from sidecar.errors import NO_URI, UsageError, UserError
from sidecar.settings import Settings, load, redact
from sidecar.store import URI_SETTINGS, wait_until_up


def run() -> None:
    """Make collections and indexes in every MongoDB of the settings; what is made is logged.

    Raises:
        UserError: one cannot be reached, or something stands in the way.
    """
    settings = load().settings
    if settings.mongodb_uri is None:
        raise UsageError(NO_URI)
    logs.configure(settings.log_level, settings.log_format)
    asyncio.run(_init_all(settings, settings.mongodb_uri.get_secret_value()))


async def _init_all(settings: Settings, local_uri: str) -> None:
    metrics = ExporterMetrics(CollectorRegistry())
    for config in destination_configs(settings, local_uri):
        await _init(settings, config, MongoDestination(config, metrics))


async def _init(settings: Settings, config: MongoConfig, destination: MongoDestination) -> None:
    setting = URI_SETTINGS[config.name]
    try:
        await destination.connect()
        await wait_until_up(config, destination, settings.start_timeout)
        problems = await destination.ensure()
    except DestinationMisconfigured as error:
        raise UserError(f"{setting}: {error}") from None
    except DestinationUnavailable as error:
        raise UserError(f"{setting}: collections and indexes could not all be made: {error}") from error
    finally:
        await destination.stop()
    if problems:
        raise UserError("\n".join(f"{setting}: {problem}" for problem in problems))
    sys.stdout.write(f"{redact(config.uri)}, database {config.database}: collections and indexes are in place\n")
