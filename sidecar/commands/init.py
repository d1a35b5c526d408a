"""`otlp-mongo init`."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from prometheus_client import CollectorRegistry

from exporter.errors import DestinationMisconfigured, DestinationUnavailable
from exporter.mongodb import MongoConfig, MongoDestination
from exporter.telemetry import ExporterMetrics
from sidecar import logs
from sidecar.composition import URI_SETTINGS, destination_configs
from sidecar.errors import NO_URI, UsageError, UserError
from sidecar.settings import Settings, load, redact

_PING_PAUSE = 0.1


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
    """Each MongoDB on its own: what one lacks is said after what could be done was done in all."""
    metrics = ExporterMetrics(CollectorRegistry())
    problems = []
    for config in destination_configs(settings, local_uri):
        try:
            await _init(settings, config, MongoDestination(config, metrics))
        except UserError as error:
            problems.append(str(error))
    if problems:
        raise UserError("\n".join(problems))


async def _init(settings: Settings, config: MongoConfig, destination: MongoDestination) -> None:
    setting = URI_SETTINGS[config.name]
    try:
        await destination.connect()
        await _wait_until_up(config, destination, settings.start_timeout)
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


async def _wait_until_up(config: MongoConfig, destination: MongoDestination, patience: timedelta) -> None:
    """Return once a destination answers.

    Raises:
        UserError: it does not within `patience`, or refuses us. The text has no credentials.
    """
    setting = URI_SETTINGS[config.name]
    deadline = asyncio.get_running_loop().time() + patience.total_seconds()
    while True:
        try:
            # Not cut short: it has a timeout of its own, and cancelling one of PyMongo's waits can wake another.
            return await destination.ping()
        except DestinationMisconfigured as error:
            raise UserError(f"{setting}: {redact(config.uri)} refuses us: {error}") from error
        except DestinationUnavailable as error:
            if asyncio.get_running_loop().time() >= deadline:
                raise UserError(
                    f"{setting}: {redact(config.uri)} cannot be reached within OTLP_MONGO_START_TIMEOUT: {error}"
                ) from error
        await asyncio.sleep(_PING_PAUSE)
