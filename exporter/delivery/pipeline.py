"""One destination's way: insert now, or buffer now and replay later."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from exporter.batch import Batch
from exporter.delivery.breaker import Backoff, CircuitBreaker
from exporter.delivery.dead_letters import DeadLetters
from exporter.delivery.telemetry import DeliveryMetrics
from exporter.errors import DestinationUnavailable, Unavailable
from exporter.interfaces import Backlog, BatchBuffer, Destination, Documents

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveryConfig:
    """How long a destination may take, and how its backlog is brought over. Times in seconds."""

    insert_timeout: float = 4.0
    """A live insert that takes longer goes to the buffer. Less than the 5 s after which a Collector gives up."""
    replay_timeout: float = 60.0
    """A replayed insert may take as long as a slow destination needs."""
    replay_bytes: int = 4 << 20
    """Payload bytes of one round of replay."""
    replay_bytes_beside_live: int = 1 << 20
    """The same while live inserts come, which wait behind a round that is on its way."""
    replay_batches: int = 256
    """Batches of one round of replay."""
    backoff: Backoff = field(default_factory=Backoff)


class Pipeline:
    """Gets batches to one destination, or to the buffer on its behalf."""

    def __init__(
        self,
        destination: Destination,
        buffer: BatchBuffer,
        dead_letters: DeadLetters,
        config: DeliveryConfig,
        metrics: DeliveryMetrics,
    ) -> None:
        self.destination = destination
        self.config = config
        self.breaker = CircuitBreaker(config.backoff, self._on_breaker_change)
        self.woken = asyncio.Event()
        """Set when the breaker opened or a batch went to the buffer: what replay waits for."""
        self._buffer = buffer
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._buffer_refused = False
        self._live: set[asyncio.Timeout] = set()
        """Of the live inserts that are on their way: due at once when the breaker opens."""
        self._live_came = False

    @property
    def takes_records(self) -> bool:
        """Whether the destination is up or, as far as the last batch told, the buffer has room."""
        return self.breaker.closed or not self._buffer_refused

    @property
    def name(self) -> str:
        return self.destination.name

    @property
    def backlog(self) -> Backlog:
        return self._buffer.status()[self.name]

    async def deliver(self, batch: Batch, documents: Documents | None) -> str:
        """Return once each record of the batch is durable for this destination.

        `documents` are the batch's; without them it goes to the buffer.

        Returns a warning for the client, empty when there is none.

        Raises:
            Unavailable: neither the destination nor the buffer took it.
            TooLarge: nor will the buffer ever.
        """
        if documents is not None and self.breaker.closed:
            try:
                return await self._insert_live(batch, documents)
            except DestinationUnavailable as error:
                self.breaker.fail(str(error))
        try:
            await self._buffer.append(batch, self.name)
        except Unavailable:
            self._buffer_refused = True
            raise
        self._buffer_refused = False
        self._metrics.buffered(self.name, batch)
        self.woken.set()
        return ""

    async def _insert_live(self, batch: Batch, documents: Documents) -> str:
        """Like `insert`, but once the breaker opens it is waited for no longer: one who waited in vain is enough."""
        self._live_came = True
        try:
            async with asyncio.timeout(self.config.insert_timeout) as timeout:
                self._live.add(timeout)
                try:
                    return await self._insert(batch, documents)
                finally:
                    self._live.discard(timeout)
        except TimeoutError as error:
            raise DestinationUnavailable(self.breaker.reason or _too_long(self.config.insert_timeout)) from error

    async def insert(self, batch: Batch, documents: Documents, timeout: float) -> str:  # noqa: ASYNC109
        """Insert a batch's documents; those that are refused become dead letters.

        Returns a warning for the client, empty when there is none.

        Raises:
            DestinationUnavailable: some may be stored and some not; inserting them again is safe.
        """
        try:
            async with asyncio.timeout(timeout):
                return await self._insert(batch, documents)
        except TimeoutError as error:
            raise DestinationUnavailable(_too_long(timeout)) from error

    async def set_aside(self, batch: Batch, reason: str) -> None:
        """Keep a batch that cannot be delivered at all as one dead letter.

        Raises:
            DestinationUnavailable: it is not stored.
        """
        await self._dead_letters.keep_whole(self.destination, batch, reason)

    def next_round_bytes(self) -> int:
        """Payload bytes that replay may take at once now, by what came since it asked the last time."""
        live, self._live_came = self._live_came or bool(self._live), False
        return self.config.replay_bytes_beside_live if live else self.config.replay_bytes

    async def _insert(self, batch: Batch, documents: Documents) -> str:
        result = await self.destination.insert(batch.signal.collection, documents)
        if not result.refusals:
            return ""
        return await self._dead_letters.keep(self.destination, batch, result.refusals)

    def _on_breaker_change(self, closed: bool, reason: str) -> None:
        self._metrics.destination_open(self.name, not closed)
        if closed:
            _log.info("destination takes inserts again", destination=self.name)
        else:
            self.woken.set()
            self._release_live_inserts()
            _log.error(
                "destination failed: batches for it go to the retry buffer", destination=self.name, reason=reason
            )

    def _release_live_inserts(self) -> None:
        now = asyncio.get_running_loop().time()
        for timeout in self._live:
            if not timeout.expired():
                timeout.reschedule(now)


def _too_long(seconds: float) -> str:
    return f"the insert took longer than {seconds:g} s"
