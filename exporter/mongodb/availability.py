"""Whether a destination has a server that takes writes, as the driver's monitors see it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pymongo import monitoring


class Availability(monitoring.TopologyListener):
    """Listens to the driver's topology events.

    The driver may publish them from a thread of its own: what they change, changes on the event loop that made this.
    """

    def __init__(self, on_change: Callable[[bool], None]) -> None:
        self.up = asyncio.Event()
        """Set while there is such a server. To be awaited by whoever has something to write."""
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()

    def opened(self, event: monitoring.TopologyOpenedEvent) -> None:
        """Nothing is known yet."""

    def description_changed(self, event: monitoring.TopologyDescriptionChangedEvent) -> None:
        """A monitor learnt something, or an operation failed."""
        servers = event.new_description.server_descriptions().values()
        self._report(any(server.is_writable for server in servers))

    def closed(self, event: monitoring.TopologyClosedEvent) -> None:  # noqa: ARG002 - the driver's signature
        """The client was closed."""
        self._report(False)

    def _report(self, up: bool) -> None:
        # A client that nobody closed may outlive its loop.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._set, up)

    def _set(self, up: bool) -> None:
        if up == self.up.is_set():
            return
        if up:
            self.up.set()
        else:
            self.up.clear()
        self._on_change(up)
