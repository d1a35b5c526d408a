"""Whether a destination has a server that takes writes, as the driver's monitors see it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pymongo import monitoring
from pymongo.server_description import ServerDescription
from pymongo.topology_description import TopologyDescription

from exporter.mongodb.durability import Deployment


class Availability(monitoring.TopologyListener):
    """Listens to the driver's topology events.

    The driver may publish them from a thread of its own: what they change, changes on the event loop that made this.
    """

    def __init__(
        self,
        on_change: Callable[[Availability, bool], None],
        on_members: Callable[[Availability], None] = lambda _availability: None,
    ) -> None:
        """`on_change`: gets this, and whether there is such a server now. `on_members`: its set has other members."""
        self.deployment = Deployment(replica_set=False, sharded=False)
        """What is known of the servers, as of the last time that there was such a server."""
        self.up = asyncio.Event()
        """Set while there is such a server. To be awaited by whoever has something to write."""
        self._on_change = on_change
        self._on_members = on_members
        self._describe: Callable[[], TopologyDescription] | None = None
        self._loop = asyncio.get_running_loop()

    def opened(self, event: monitoring.TopologyOpenedEvent) -> None:
        """Nothing is known yet."""

    def description_changed(self, event: monitoring.TopologyDescriptionChangedEvent) -> None:
        """A monitor learnt something, or an operation failed."""
        up, deployment = _look(self._describe() if self._describe else event.new_description)
        # A client that nobody closed may outlive its loop.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._set, up, deployment)

    def closed(self, event: monitoring.TopologyClosedEvent) -> None:  # noqa: ARG002 - the driver's signature
        """The client was closed."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._set, False, None)

    def watch(self, describe: Callable[[], TopologyDescription]) -> None:
        """`describe`: what the client knows now. Its events come late, by up to a second, and tell what was."""
        self._describe = describe

    def look(self) -> None:
        """Do not wait for an event: the client has just had an answer. In the event loop."""
        if self._describe:
            self._set(*_look(self._describe()))

    def _set(self, up: bool, deployment: Deployment | None) -> None:
        changed = deployment is not None and deployment != self.deployment
        if deployment is not None:
            self.deployment = deployment
        if up == self.up.is_set():
            if changed:
                self._on_members(self)
            return
        if up:
            self.up.set()
        else:
            self.up.clear()
        self._on_change(self, up)


def _look(description: TopologyDescription) -> tuple[bool, Deployment | None]:
    servers = description.server_descriptions().values()
    writable = next((server for server in servers if server.is_writable), None)
    arbiters = sum(server.server_type_name == "RSArbiter" for server in servers)
    return writable is not None, _deployment(writable, arbiters) if writable else None


def _deployment(server: ServerDescription, arbiters: int) -> Deployment:
    """As far as the driver's view of the server that takes writes tells."""
    voting = max(len(server.all_hosts), 1)
    return Deployment(
        replica_set=server.replica_set_name is not None,
        sharded=server.server_type_name in ("Mongos", "LoadBalancer"),
        voting=voting,
        data_bearing=max(voting - arbiters, 1),
    )
