"""Everything from a batch to MongoDB: transcoder, destinations, exporter.

The one place that durable delivery changes: today a record is acknowledged when every destination has stored it, and
a local MongoDB that is not there stops the start; with the retry buffer both may wait on disk instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from functools import partial

from prometheus_client import CollectorRegistry

from exporter import Exporter
from exporter.errors import DestinationMisconfigured, DestinationUnavailable
from exporter.interfaces import Transcoder
from exporter.mongodb import MongoConfig, MongoDestination
from exporter.telemetry import ExporterMetrics
from exporter.transcode.select import TranscoderMissing, select_transcoder
from sidecar.composition import destination_configs
from sidecar.direct import DirectExporter
from sidecar.errors import UsageError, UserError
from sidecar.health import Health, PartHealth
from sidecar.settings import Settings, redact

_PING_PAUSE = 0.1
URI_SETTINGS = {"local": "MONGODB_URI", "cloud": "MONGODB_CLOUD_URI"}


class MongoDBNotThere(UserError):
    """A MongoDB did not answer in time, or does not let us in. The text has no credentials."""


class Store:
    """Owns the destinations. Starts and stops once."""

    def __init__(self, settings: Settings, local_uri: str, registry: CollectorRegistry, health: Health) -> None:
        """Raises UsageError: the transcoder that is set is not there."""
        self._settings = settings
        self._configs = list(destination_configs(settings, local_uri))
        metrics = ExporterMetrics(registry)
        self._destinations = [MongoDestination(config, metrics) for config in self._configs]
        self._health = health
        self.transcoder = _transcoder(settings)
        timeout = settings.insert_timeout.total_seconds()
        self.exporter: Exporter = DirectExporter(self.transcoder, self._destinations, timeout)

    async def start(self) -> None:
        """Return once the local MongoDB takes writes; collections and indexes are made in the background.

        Raises:
            UserError: it does not within the start timeout, or a connection string is wrong.
        """
        for config, destination in zip(self._configs, self._destinations, strict=True):
            await self._open(config, destination)
        await wait_until_up(self._configs[0], self._destinations[0], self._settings.start_timeout)

    async def stop(self, grace: float) -> None:
        """Finish the inserts under way, for at most `grace` seconds. May be called in any state."""
        await asyncio.gather(*(destination.stop(timedelta(seconds=grace)) for destination in self._destinations))

    def facts(self) -> Mapping[str, str]:
        """Where it stores; no credentials."""
        facts = {}
        for config in self._configs:
            facts[config.name] = redact(config.uri)
            facts[f"{config.name} database"] = config.database
        return facts

    async def _open(self, config: MongoConfig, destination: MongoDestination) -> None:
        try:
            await (destination.start() if self._settings.create_indexes else destination.connect())
        except DestinationMisconfigured as error:
            raise UsageError(f"{URI_SETTINGS[config.name]}: {error}") from None
        self._health.register(f"{config.name} MongoDB", partial(_health, config, destination))


async def wait_until_up(config: MongoConfig, destination: MongoDestination, patience: timedelta) -> None:
    """Return once a started destination answers.

    Raises:
        MongoDBNotThere: it does not within `patience`, or refuses us.
    """
    setting = URI_SETTINGS[config.name]
    deadline = asyncio.get_running_loop().time() + patience.total_seconds()
    while True:
        try:
            # Not cut short: it has a timeout of its own, and cancelling one of PyMongo's waits can wake another.
            return await destination.ping()
        except DestinationMisconfigured as error:
            raise MongoDBNotThere(
                f"{setting}: {redact(config.uri)} refuses us ({error}); check user, password and authSource"
            ) from error
        except DestinationUnavailable as error:
            if asyncio.get_running_loop().time() >= deadline:
                raise MongoDBNotThere(
                    f"{setting}: {redact(config.uri)} cannot be reached within OTLP_MONGO_START_TIMEOUT "
                    f"({_short(error)}); start that MongoDB, or set another one"
                ) from error
        await asyncio.sleep(_PING_PAUSE)


def _short(error: DestinationUnavailable) -> str:
    """Without PyMongo's whole view of the topology."""
    return str(error).partition(" (configured timeouts: ")[0].partition(", Timeout: ")[0]


def _transcoder(settings: Settings) -> Transcoder:
    try:
        return select_transcoder(settings.transcoder)
    except TranscoderMissing as error:
        raise UsageError(str(error)) from error


def _health(config: MongoConfig, destination: MongoDestination) -> PartHealth:
    health = destination.health()
    state = "reachable" if health.up else "unreachable"
    if health.problem:
        state += f": {health.problem}"
    # Records cannot be taken without the local MongoDB; another one must not keep them from it.
    return PartHealth(ready=health.up or config.name != "local", state=state)
