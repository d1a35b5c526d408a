"""Everything from a batch to MongoDB: transcoder, destinations, retry buffer, delivery."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import MappingProxyType

from prometheus_client import CollectorRegistry

from exporter import Exporter
from exporter.buffer import BufferMetrics, BufferOpenError, RetryBuffer
from exporter.delivery import BacklogCollector, Delivery, DeliveryMetrics, LetterBox
from exporter.errors import DestinationMisconfigured, DestinationUnavailable
from exporter.interfaces import Transcoder
from exporter.mongodb import MongoConfig, MongoDestination
from exporter.supervision import Supervisor
from exporter.telemetry import ExporterMetrics
from exporter.transcode.select import TranscoderMissing, select_transcoder
from sidecar.admin.service import AdminService
from sidecar.composition import URI_SETTINGS, buffer_config, delivery_config, destination_configs
from sidecar.errors import UsageError, UserError
from sidecar.health import Health, PartHealth
from sidecar.settings import Settings, redact
from sidecar.settings.types import format_bytes

_CLOSE_SECONDS = 2.0
"""Of the grace, what is kept for closing the clients when the backlog takes all of it."""
_FILES_NAMED = 3
"""Files that the health of the buffer names."""


class Store:
    """Owns destinations, buffer and delivery. Starts and stops once."""

    def __init__(
        self,
        settings: Settings,
        local_uri: str | None,
        folder: Path,
        registry: CollectorRegistry,
        health: Health,
        tasks: Supervisor,
        *,
        offline: bool = False,
        read_uris: Mapping[str, Callable[[], str]] = MappingProxyType({}),
    ) -> None:
        """`folder`: where the retry buffer lies. `tasks`: the owner of those that run on.

        `read_uris`: how to read a destination's URI again, by its name.

        `offline`: no batch will come, and replay waits until asked for.

        Without a `local_uri` there are no destinations, but what waits in the buffer.

        Raises:
            UsageError: the transcoder that is set is not there.
        """
        self._settings = settings
        self._folder = folder
        self._registry = registry
        self._health = health
        self._tasks = tasks
        self._offline = offline
        configs = destination_configs(settings, local_uri) if local_uri else ()
        self._configs = {config.name: config for config in configs}
        metrics = ExporterMetrics(registry)
        self._destinations = {
            name: MongoDestination(config, metrics, tasks, read_uris.get(name))
            for name, config in self._configs.items()
        }
        self.transcoder = _transcoder(settings)
        metrics.transcoder_chosen(self.transcoder.name)
        self._buffer: RetryBuffer | None = None
        self._delivery: Delivery | None = None

    @property
    def exporter(self) -> Exporter:
        """Where batches go. Only after the start."""
        return self._started().exporter

    async def start(self) -> None:
        """Return once batches can be taken: the MongoDBs may come later, the buffer may not.

        Raises:
            UserError: the buffer cannot be opened, or a connection string is wrong.
        """
        try:
            self._buffer = await RetryBuffer.open(
                buffer_config(self._settings, self._folder),
                list(self._configs),
                BufferMetrics(self._registry),
                self._tasks,
            )
        except BufferOpenError as error:
            raise UserError(f"OTLP_MONGO_DATA_DIR: {error}") from error
        self._registry.register(BacklogCollector(self._buffer))
        for name, destination in self._destinations.items():
            await self._open(self._configs[name], destination)
        self._delivery = Delivery(
            {destination: delivery_config(self._settings, name) for name, destination in self._destinations.items()},
            self._buffer,
            self.transcoder,
            DeliveryMetrics(self._registry, self._destinations),
            self._tasks,
        )
        self._buffer.on_return(self._delivery.wake)
        self._delivery.start(paused=self._offline)
        self._health.register("retry buffer", partial(_buffer_health, self._buffer))
        for name in self._destinations:
            self._health.register(f"{name} MongoDB", partial(self._probe, name))

    async def stop(self, grace: float) -> None:
        """Drain towards the destinations for at most `grace` seconds, then close. May be called in any state."""
        if self._delivery:
            await self._delivery.stop(max(grace - _CLOSE_SECONDS, 0))
        close = timedelta(seconds=min(grace, _CLOSE_SECONDS))
        await asyncio.gather(*(destination.stop(close) for destination in self._destinations.values()))
        if self._buffer:
            await self._buffer.close()

    def admin_service(self) -> AdminService:
        """What the commands talk to. Only after the start."""
        delivery = self._started()
        if self._buffer is None:
            raise AssertionError("a delivery has a buffer")
        letters = LetterBoxes(self._destinations, self.transcoder)
        return AdminService(delivery, self._buffer, letters, self._destinations, ask_first=self._offline)

    @property
    def destinations(self) -> Iterable[str]:
        """Their names."""
        return self._destinations

    async def reload(self, name: str) -> str:
        """Read a destination's URI and the files it names again. Returns what came of it.

        Raises:
            UserError: it cannot be used; what was in use stays in use.
        """
        try:
            await self._destinations[name].reload()
        except DestinationUnavailable as error:
            raise UserError(f"{URI_SETTINGS[name]}: {error}") from None
        return "connected anew"

    def facts(self) -> Mapping[str, str]:
        """Where it stores; no credentials."""
        facts = {}
        for name, config in self._configs.items():
            facts[name] = redact(config.uri)
            facts[f"{name} database"] = config.database
        return facts

    def _started(self) -> Delivery:
        if self._delivery is None:
            raise AssertionError("the store is not started")
        return self._delivery

    async def _open(self, config: MongoConfig, destination: MongoDestination) -> None:
        try:
            if self._settings.create_indexes and not self._offline:
                await destination.start()
            else:
                await destination.connect()
        except DestinationMisconfigured as error:
            raise UsageError(f"{URI_SETTINGS[config.name]}: {error}") from None

    def _probe(self, name: str) -> PartHealth:
        """A destination that takes no records makes us not ready only if it is the local one."""
        health = self._destinations[name].health()
        pipeline = self._started().pipelines[name]
        state = "reachable" if health.up else "unreachable"
        problems = "; ".join(pipeline.problems())
        if health.problem not in problems:
            # The first may be a mere timeout, and this what is behind it.
            problems = "; ".join(filter(None, (problems, health.problem)))
        if problems:
            state += f": {problems}"
        if health.warning:
            state += f"; warning: {health.warning}"
        if backlog := pipeline.backlog.records:
            state += f"; {backlog} records wait in the retry buffer"
        return PartHealth(ready=pipeline.takes_records or name != "local", state=state)


def _buffer_health(buffer: RetryBuffer) -> PartHealth:
    """Files that cannot be read are seen, and take no records away: new ones go to others."""
    state = buffer.state()
    parts = [f"{format_bytes(state.disk_bytes)} of {format_bytes(state.max_bytes)}"]
    if state.damaged_files:
        parts.append(f"{state.damaged_files} damaged files take {format_bytes(state.damaged_bytes)} of that")
    if count := len(state.unreadable):
        named = ", ".join(f"{file.name} ({file.reason})" for file in state.unreadable[:_FILES_NAMED])
        parts.append(f"{count} files cannot be read now and are tried again: {named}")
    return PartHealth(ready=True, state="; ".join(parts))


class LetterBoxes(Mapping[str, LetterBox]):
    """The dead letters of each destination, by its name, in the database that it is connected to at the moment."""

    def __init__(self, destinations: Mapping[str, MongoDestination], transcoder: Transcoder) -> None:
        self._destinations = destinations
        self._transcoder = transcoder

    def __getitem__(self, name: str) -> LetterBox:
        destination = self._destinations[name]
        return LetterBox(destination.database, destination, self._transcoder)

    def __iter__(self) -> Iterator[str]:
        return iter(self._destinations)

    def __len__(self) -> int:
        return len(self._destinations)


def _transcoder(settings: Settings) -> Transcoder:
    try:
        return select_transcoder(settings.transcoder)
    except TranscoderMissing as error:
        raise UsageError(str(error)) from error
