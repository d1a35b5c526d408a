"""The running sidecar: what starts in which order. Parts are built as they start, since each needs those before it."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import grpc.aio
import structlog
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.registry import Collector

from exporter.supervision import Supervisor
from receiver.endpoint import ReceiverStartError
from receiver.grpc_receiver import GrpcReceiver
from sidecar.admin import AdminServer
from sidecar.admin.grpc_server import AdminGrpcServer
from sidecar.admin.socket_place import NoSafePlace, admin_socket
from sidecar.composition import Receiver, build_receivers, uri_readers
from sidecar.data_folder import DataFolder, SidecarState
from sidecar.embedded import EmbeddedMongod, find_mongod
from sidecar.errors import NO_URI, UsageError, UserError
from sidecar.health import Health, PartHealth
from sidecar.lifecycle import Lifecycle, Part
from sidecar.readiness import ReadinessWatch
from sidecar.reload import Reload
from sidecar.settings import Settings, redact
from sidecar.store import Store

_log = structlog.get_logger(__name__)

_LEAST_MONGOD_START = 60.0
"""Seconds. `OTLP_MONGO_START_TIMEOUT` may give an embedded mongod more."""
_OUT_OF_DESCRIPTORS = {errno.EMFILE, errno.ENFILE}
_LITTLE = 0.1
"""The share of the grace of a part that has nothing to wait for."""


class Sidecar:
    """All parts, from the data folder to the receivers. Starts and stops once."""

    def __init__(
        self,
        settings: Settings,
        *,
        embedded: bool,
        offline: bool = False,
        collectors: Iterable[Collector] = (),
        read_settings: Callable[[], Settings] | None = None,
    ) -> None:
        """`embedded`: store in a mongod of our own instead of `MONGODB_URI`. `collectors`: more metrics to serve.

        `read_settings`: reads them again, for passwords that change; None: they do not.

        `offline`: listen for nothing but the admin service, and replay only when that asks for it.

        Raises:
            UserError: there is nothing to store in.
        """
        self._offline = offline
        if settings.mongodb_uri is None and not embedded and not offline:
            raise UsageError(NO_URI)
        self._settings = settings
        self._read_uris = uri_readers(read_settings, embedded=embedded) if read_settings else {}
        self._registry = _registry(collectors)
        self._health = Health()
        self._tasks = Supervisor(self._registry)
        self._health.register("tasks", partial(_tasks_health, self._tasks))
        self._reload = Reload(self._tasks)
        self._readiness = ReadinessWatch(self._health, self._tell_clients, self._tasks)
        self._folder = DataFolder(settings.data_dir)
        self._admin = self._build_admin()
        self._mongod = self._build_mongod() if embedded else None
        self._grpc: grpc.aio.Server | None = None
        self._store: Store | None = None
        self._admin_service: AdminGrpcServer | None = None
        self._receivers: Mapping[str, Receiver] = {}
        store = (
            Part("data folder", self._open_folder, self._close_folder),
            Part("embedded mongod", self._start_mongod, self._stop_mongod),
            Part("store", self._start_store, self._stop_store, share=0.9),
            Part("admin service", self._start_admin_service, self._stop_admin_service, share=_LITTLE),
        )
        network = (
            Part("admin endpoint", self._start_admin, self._stop_admin),
            # The store has at least half of the grace to bring over what waits.
            Part("receivers", self._start_receivers, self._stop_receivers, share=0.5),
            Part("readiness", self._readiness.start, self._readiness.stop, share=_LITTLE),
            Part("reload", self._reload.start, self._reload.stop, share=_LITTLE),
        )
        parts = store if offline else (*store[:1], network[0], *store[1:], *network[1:])
        grpc_core = Part("gRPC", self._start_grpc, self._stop_grpc, share=_LITTLE)
        self._lifecycle = Lifecycle((grpc_core, *parts, Part("state file", self._tell_other_commands, _stop_nothing)))

    async def start(self) -> None:
        """Return once records can be sent. What had started is stopped when a part fails.

        Raises:
            UserError: a part cannot start, and why.
        """
        try:
            await self._lifecycle.start()
        except OSError as error:
            if error.errno not in _OUT_OF_DESCRIPTORS:
                raise
            raise UserError(f"{error}: raise the limit of open files (`ulimit -n`) and start again") from error
        self._health.running()
        await self._readiness.look()
        _log.info("ready", **{key.replace(" ", "_"): value for key, value in self.facts().items()})

    async def stop(self) -> bool:
        """Take no more requests, answer those in flight, drain and close everything, within the grace time.

        Returns whether all of it went well.
        """
        self._health.stopping()
        await self._readiness.look()
        delay = self._settings.drain_delay.total_seconds()
        grace = self._settings.shutdown_grace.total_seconds()
        _log.info("stopping", grace_seconds=grace, accepting_seconds=delay)
        await asyncio.sleep(delay)
        return await self._lifecycle.stop(grace - delay)

    def reload(self) -> None:
        """Read secrets and certificates again, soon; what comes of it is logged."""
        self._reload.ask()

    @property
    def admin_service_endpoint(self) -> str:
        """Where the admin service listens. Only after the start, and when it is not off."""
        if self._admin_service is None:
            raise AssertionError("there is no admin service")
        return self._admin_service.endpoint

    def facts(self) -> Mapping[str, str]:
        """Where it listens and where it stores, by their names; no credentials."""
        state = self._state()
        listening = {"grpc": state.grpc, "http": state.http, "admin": state.admin}
        return {
            **{name: endpoint for name, endpoint in listening.items() if endpoint},
            **(self._store.facts() if self._store else {}),
            "data folder": str(self._folder.path),
        }

    async def _tell_other_commands(self) -> None:
        try:
            await asyncio.to_thread(self._folder.write_state, self._state())
        except OSError as error:
            # A full disk must not stop a start: MongoDB may take all there is.
            message = "cannot write where this sidecar listens: other commands will not find it"
            _log.error(message, folder=str(self._folder.path), reason=str(error))

    def _state(self) -> SidecarState:
        bound = {name: receiver.endpoint for name, receiver in self._receivers.items()}
        return SidecarState(
            pid=os.getpid(),
            grpc=bound.get("OTLP_MONGO_GRPC_ENDPOINT"),
            http=bound.get("OTLP_MONGO_HTTP_ENDPOINT"),
            admin=self._admin.endpoint if self._admin else None,
            admin_grpc=self._admin_service.endpoint if self._admin_service else None,
            database=self._settings.mongodb_database,
            embedded=self._mongod is not None,
        )

    async def _start_grpc(self) -> None:
        """Have gRPC's core open all that it opens once: without descriptors it aborts the process later on.

        It lets go of everything with the last of its objects, so there is one from the first moment to the last.
        """
        self._grpc = grpc.aio.server()

    async def _stop_grpc(self, _grace: float) -> None:
        if self._grpc:
            await self._grpc.stop(None)

    async def _open_folder(self) -> None:
        await asyncio.to_thread(self._folder.open)

    async def _close_folder(self, _grace: float) -> None:
        await asyncio.to_thread(self._folder.close)

    def _build_admin(self) -> AdminServer | None:
        endpoint = self._settings.admin_endpoint
        return AdminServer(endpoint, self._health, self._registry, self.facts) if endpoint else None

    def _build_mongod(self) -> EmbeddedMongod:
        patience = max(self._settings.start_timeout.total_seconds(), _LEAST_MONGOD_START)
        return EmbeddedMongod(self._folder.mongod, find_mongod(), start_timeout=patience, tasks=self._tasks)

    async def _start_admin(self) -> None:
        if self._admin:
            await self._admin.start()

    async def _stop_admin(self, grace: float) -> None:
        if self._admin:
            await self._admin.stop(grace)

    async def _start_mongod(self) -> None:
        if self._mongod:
            await self._mongod.start()
            self._health.register("embedded mongod", partial(_mongod_health, self._mongod))

    async def _stop_mongod(self, grace: float) -> None:
        if self._mongod:
            await self._mongod.stop(grace)

    async def _start_store(self) -> None:
        self._store = Store(
            self._settings,
            self._local_uri(),
            self._folder.buffer,
            self._registry,
            self._health,
            self._tasks,
            offline=self._offline,
            read_uris=self._read_uris,
        )
        await self._store.start()
        for name in self._store.destinations:
            self._reload.register(f"{name} MongoDB", partial(self._store.reload, name))

    async def _stop_store(self, grace: float) -> None:
        if self._store:
            await self._store.stop(grace)

    async def _start_admin_service(self) -> None:
        setting = "auto" if self._offline else self._settings.admin_grpc_endpoint
        if self._store and setting:
            try:
                endpoint = setting if setting != "auto" else await asyncio.to_thread(admin_socket, self._folder.path)
            except NoSafePlace as error:
                if self._offline:
                    raise
                _log.error("no admin service: the commands buffer and dead-letters cannot be used", reason=str(error))
                return
            self._admin_service = AdminGrpcServer(endpoint, self._store.admin_service())
            await self._admin_service.start()

    async def _stop_admin_service(self, grace: float) -> None:
        if self._admin_service:
            await self._admin_service.stop(grace)

    def _local_uri(self) -> str | None:
        if self._mongod:
            return self._mongod.uri
        return self._settings.mongodb_uri.get_secret_value() if self._settings.mongodb_uri else None

    async def _start_receivers(self) -> None:
        if self._store is None:
            raise AssertionError("the store starts before the receivers")
        self._receivers = build_receivers(self._settings, self._store.transcoder, self._store.exporter, self._registry)
        for setting, receiver in self._receivers.items():
            try:
                await receiver.start()
            except ReceiverStartError as error:
                raise UserError(f"{setting}: {error}") from error
            self._health.register(setting, partial(_listening, receiver))

    async def _tell_clients(self, ready: bool) -> None:
        for receiver in self._receivers.values():
            if isinstance(receiver, GrpcReceiver):
                await receiver.set_serving(ready)

    async def _stop_receivers(self, grace: float) -> None:
        await asyncio.gather(*(receiver.stop(grace) for receiver in self._receivers.values()))


async def _stop_nothing(_grace: float) -> None:
    """The folder's end is the end of the state file, too."""


def _registry(collectors: Iterable[Collector]) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=True)
    for collector in collectors:
        registry.register(collector)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def _tasks_health(tasks: Supervisor) -> PartHealth:
    """What keeps failing is seen, and takes no records away: whether they can be taken, the other parts know."""
    failing = "; ".join(f"{name}: {problem}" for name, problem in tasks.failing().items())
    return PartHealth(ready=True, state=failing or "running")


def _mongod_health(mongod: EmbeddedMongod) -> PartHealth:
    if mongod.pid is None:
        return PartHealth(ready=False, state="starting again after a crash")
    return PartHealth(ready=True, state=f"running, process {mongod.pid}, {redact(mongod.uri)}")


def _listening(receiver: Receiver) -> PartHealth:
    return PartHealth(ready=True, state=f"listening on {receiver.endpoint}")
