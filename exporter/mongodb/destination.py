"""A MongoDB as a destination."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from exporter.errors import DestinationUnavailable
from exporter.interfaces import Documents, InsertResult
from exporter.mongodb import failures
from exporter.mongodb.availability import Availability
from exporter.mongodb.client import open_client
from exporter.mongodb.collections import Collections
from exporter.mongodb.config import MongoConfig
from exporter.mongodb.connection import Connection
from exporter.mongodb.diagnosis import why_no_answer
from exporter.mongodb.durability import weakness
from exporter.mongodb.explain import Step, explain, is_about_credentials, where_the_user_is_looked_for
from exporter.mongodb.group_commit import GroupCommit
from exporter.mongodb.inserter import Inserter, Written
from exporter.mongodb.pace import Pace
from exporter.mongodb.pieces import insert_in_pieces
from exporter.mongodb.renewal import Renewal
from exporter.mongodb.secrets import Redactor
from exporter.mongodb.set_up import SetUp
from exporter.progress import Progress
from exporter.supervision import SupervisedTask, Supervisor
from exporter.telemetry import ExporterMetrics

_log = structlog.get_logger(__name__)
_NOTHING = InsertResult(0, 0)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Health:
    """How a destination does."""

    up: bool
    """Whether the driver knows a server that takes writes."""
    problem: str = ""
    """What the last failed operation said; empty after one that succeeded."""
    warning: str = ""
    """What may be lost though it was acknowledged; empty when nothing may."""


class MongoDestination:
    """Inserts into one MongoDB. Start it in the event loop that uses it."""

    def __init__(
        self,
        config: MongoConfig,
        metrics: ExporterMetrics,
        tasks: Supervisor | None = None,
        read_uri: Callable[[], str] | None = None,
    ) -> None:
        """`tasks`: the owner of those that run beside inserts.

        `read_uri`: reads the URI again from where it comes from (exporter/mongodb/renewal.py); None: it cannot change.
        """
        self.name = config.name
        self._config = config
        self._metrics = metrics.destination(config.name)
        self._redact = Redactor(config.uri)
        self._problem = ""
        self._pace = Pace()
        self._groups: dict[str, GroupCommit] = {}
        self._running: Connection | None = None
        self._tasks = tasks or Supervisor()
        self._setting_up: SupervisedTask | None = None
        self._came_up = asyncio.Event()
        self._renewal = Renewal(config.name, config.uri, read_uri, self._put_to_use)
        self._retiring: dict[SupervisedTask, Connection] = {}
        self._weakness = ""

    async def start(self) -> None:
        """Make the client, which connects in the background; collections and indexes are made once it has.

        Raises:
            DestinationMisconfigured: the URI or one of its options is not valid.
        """
        self._running = await self._open(self._config)
        self._start_set_up(self._running)

    async def connect(self) -> None:
        """Like `start`, but make no collections: for a command that does one thing. Raises like `start`."""
        self._running = await self._open(self._config)

    async def stop(self, grace: timedelta = timedelta(seconds=5)) -> None:
        """Give inserts under way the grace time, fail those that wait, close the client. A second call does nothing."""
        running, self._running = self._running, None
        if running is None:
            return
        if self._setting_up is not None:
            await self._setting_up.stop()
            self._setting_up = None
        await asyncio.gather(*(group.stop(grace.total_seconds()) for group in self._groups.values()))
        self._groups.clear()
        await asyncio.gather(*(task.stop() for task in self._retiring))
        for connection in (*self._retiring.values(), running):
            await connection.client.close()

    async def reload(self) -> None:
        """Read the URI and the files it names again, and connect anew. Inserts under way end on the old connections.

        Raises:
            DestinationUnavailable: it cannot be used. What was in use stays in use.
        """
        await self._renewal.now()

    @property
    def available(self) -> asyncio.Event:
        """Set while the driver knows a server that takes writes; await it to learn when there is one again."""
        return self._get_running().availability.up

    async def returned(self) -> None:
        """Return when the driver finds a server that takes writes after there was none.

        Each such event is told once, also when it came before the call: there is one who waits for it.
        """
        await self._came_up.wait()
        self._came_up.clear()

    @property
    def database(self) -> AsyncDatabase[dict[str, Any]]:
        """Its database, for reading. Raises DestinationUnavailable before the start and after the stop."""
        return self._get_running().database

    @property
    def write_concern(self) -> Mapping[str, Any]:
        """What an insert waits for, as it goes with commands. Raises DestinationUnavailable like `database`."""
        return self._get_running().database.write_concern.document

    def health(self) -> Health:
        """How the destination does, without asking it."""
        up = self._running is not None and self._running.availability.up.is_set()
        return Health(up, self._problem, self._weakness)

    async def insert(self, collection: str, documents: Documents, progress: Progress | None = None) -> InsertResult:
        """Store documents durably, in pieces. A copy of one that is stored already counts as a duplicate.

        `progress`: what an earlier call reached; this one goes on from there, and leaves in it what it reached.

        Raises:
            DestinationUnavailable: some may be stored and some not; inserting them again is safe.
        """
        count = len(documents)
        if not count:
            return _NOTHING
        insert = self._group(collection).insert
        if (progress is None or not progress.reached) and self._pace.fits(documents):
            result = await insert(documents)
            if not result.postponed:
                return result
            progress = progress or Progress()
            progress.settle(range(count), result)
        return await insert_in_pieces(insert, documents, progress or Progress(), self._pace)

    def answered_since(self, moment: float) -> bool:
        """Whether an insert, of whoever, was answered as durable since then. `moment`: by `time.monotonic`."""
        return self._pace.answered_since(moment)

    def expected_seconds(self, documents: Documents) -> float:
        """How long they will take at the speed that was measured lately. 0: they go in one command, or nobody knows."""
        return self._pace.expected_seconds(documents)

    async def diagnose(self) -> str:
        """Why inserts may get no answer though the server gives one; empty when nothing is known. Takes a second."""
        return self._redact(await why_no_answer(self._get_running().client))

    async def ping(self) -> None:
        """Ask the server that takes writes for an answer.

        Raises:
            DestinationUnavailable: there is none.
        """
        await self._renewing(self._ping)
        self._problem = ""

    async def ensure(self) -> Sequence[str]:
        """Make collections and indexes, and bring TTLs up to date. Returns what could not be made, as sentences.

        Raises:
            DestinationUnavailable: MongoDB does not answer, or does not accept us; it can be repeated.
        """
        return await self._renewing(self._ensure)

    async def _ping(self, running: Connection) -> None:
        try:
            await running.client.admin.command("ping")
        except PyMongoError as error:
            raise self._explain(error) from error
        running.availability.look()

    async def _renewing(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do some work, and again if it was refused for credentials and there are new ones."""
        try:
            return await self._get_running().use(work)
        except DestinationUnavailable as error:
            if not is_about_credentials(error.__cause__) or not await self._renewal.refused():
                raise
        return await self._get_running().use(work)

    async def _put_to_use(self, uri: str) -> None:
        """Change over to a new client once it has proved to work, or when the old one does not work either."""
        old, config = self._get_running(), replace(self._config, uri=uri)
        fresh = await self._open(config)
        try:
            await fresh.client.admin.command("ping")
            fresh.availability.look()
        except PyMongoError as error:
            explanation = explain(error)
            if old.availability.up.is_set() or explanation.step not in (Step.DNS, Step.TCP, Step.TOPOLOGY):
                await fresh.client.close()
                raise DestinationUnavailable(Redactor(uri)(str(explanation))) from None
        if self._running is not old:
            await fresh.client.close()
            raise DestinationUnavailable(f"the destination {self.name!r} is stopped")
        self._config, self._redact, self._running = config, Redactor(uri), fresh
        self._on_availability(fresh.availability, fresh.availability.up.is_set())
        if self._setting_up is not None:
            await self._setting_up.stop()
            self._start_set_up(fresh)
        retiring = self._tasks.start(f"close the old client of {self.name}", old.retire, may_return=True)
        self._retiring = {task: old for task, old in self._retiring.items() if not task.done} | {retiring: old}

    def _start_set_up(self, running: Connection) -> None:
        self._setting_up = self._tasks.start(f"set up {self.name}", running.set_up.run)

    def _get_running(self) -> Connection:
        if self._running is None:
            raise DestinationUnavailable(f"the destination {self.name!r} is not started, or stopped")
        return self._running

    async def _open(self, config: MongoConfig) -> Connection:
        availability = Availability(self._on_availability, self._on_members)
        client = await open_client(config, [availability])
        availability.watch(lambda: client.topology_description)
        database = client[config.database]
        inserter = Inserter(database, config.timeout, Redactor(config.uri), self._metrics, self._pace)
        return Connection(client, database, availability, inserter, _build_set_up(config, database, availability))

    def _group(self, collection: str) -> GroupCommit:
        self._get_running()
        group = self._groups.get(collection)
        if group is None:

            async def write(parts: Sequence[Documents]) -> Written:
                try:
                    written = await self._renewing(lambda running: running.inserter.insert(collection, parts))
                except DestinationUnavailable as error:
                    self._problem = str(error)
                    if self._running is not None:
                        self._running.set_up.look_soon()
                    raise
                self._problem = ""
                self._count(collection, parts, written)
                return written

            group = self._groups[collection] = GroupCommit(write, self._pace, in_flight=self._config.inserts_in_flight)
        return group

    def _count(self, collection: str, parts: Sequence[Documents], written: Written) -> None:
        """Once for all calls of an insert: for each, it would be a good part of the time that a small one takes."""
        duplicates, refusals = len(written.duplicates), tuple(written.refusals)
        inserted = sum(map(len, parts)) - duplicates - len(refusals) - len(written.postponed)
        self._metrics.stored(collection, InsertResult(inserted, duplicates, refusals))

    async def _ensure(self, running: Connection) -> Sequence[str]:
        try:
            changes = await running.set_up.look()
        except PyMongoError as error:
            raise self._explain(error) from error
        return [self._redact(problem) for problem in changes.problems]

    def _explain(self, error: PyMongoError) -> DestinationUnavailable:
        failure = failures.from_exception(error).error
        refused = explain(error).step is Step.AUTHENTICATION
        hint = where_the_user_is_looked_for(self._config.uri) if refused else ""
        self._problem = self._redact("; ".join(filter(None, (str(failure), hint))))
        return type(failure)(self._problem, failure.scope)

    def _on_availability(self, availability: Availability, up: bool) -> None:
        if self._running is None or self._running.availability is not availability:
            return  # a client that is not in use yet, or no more
        self._metrics.set_up(up)
        if up:
            self._came_up.set()
            self._running.set_up.look_soon()
            self._tell_weakness(self._running)
            _log.info("destination takes writes", destination=self.name)
        else:
            _log.warning("destination has no server that takes writes", destination=self.name)

    def _on_members(self, availability: Availability) -> None:
        if self._running is not None and self._running.availability is availability:
            self._tell_weakness(self._running)

    def _tell_weakness(self, running: Connection) -> None:
        weak = weakness(running.database.write_concern.document, running.availability.deployment)
        self._metrics.set_weak(bool(weak))
        if weak and weak != self._weakness:
            _log.warning("what is acknowledged may be lost", destination=self.name, reason=weak)
        self._weakness = weak


def _build_set_up(config: MongoConfig, database: AsyncDatabase[Any], availability: Availability) -> SetUp:
    collections = Collections(
        database,
        config.retention,
        metrics_timeseries=config.metrics_timeseries,
        tell=lambda sentence: _log.info(sentence, destination=config.name),
    )
    between = config.between_looks.total_seconds()
    redact = Redactor(config.uri)
    return SetUp(config.name, config.database, collections, availability.up, redact, between_looks=between)
