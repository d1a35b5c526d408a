"""One destination's way: insert now, or buffer now and replay later."""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Iterator

import structlog

from exporter.batch import Batch
from exporter.delivery.breaker import CircuitBreaker
from exporter.delivery.config import DeliveryConfig
from exporter.delivery.dead_letters import DeadLetters
from exporter.delivery.insertion import Insertion, is_small
from exporter.delivery.lane import Lane, Remembered
from exporter.delivery.telemetry import DeliveryMetrics
from exporter.delivery.turn import Turn
from exporter.errors import DestinationUnavailable, Scope, Unavailable
from exporter.interfaces import Backlog, BatchBuffer, Destination, Documents
from exporter.signals import SIGNALS, Signal

_LIVE_SECONDS = 1.0
"""So long after the last live insert there is live traffic."""

_log = structlog.get_logger(__name__)


class Verdict(enum.Enum):
    """What a batch shows to be in the way."""

    SERVER = enum.auto()
    LANE = enum.auto()
    BATCH = enum.auto()
    """Only itself: others pass, or it says nothing about them."""
    PASSED = enum.auto()
    """Nothing is: it was a probe, and passed."""
    NOTHING = enum.auto()
    """There was no batch to probe with."""


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
        self.dead_letters = dead_letters
        self.config = config
        self.breaker = CircuitBreaker(config.backoff, self._on_server)
        """Open while the server takes no writes."""
        self.lanes = {
            signal: Lane(signal, config.backoff, self._on_lane, self._on_aside) for signal in SIGNALS.values()
        }
        self.changed = asyncio.Event()
        """Set when the breaker changed or a batch was buffered: what the prober waits for."""
        self.silent = False
        """Whether the breaker opened because no answer came, which may have a reason to be found out."""
        self.large_turn = Turn(self._wake_lanes)
        """Of those whose documents take more memory than replay may use otherwise."""
        self._buffer = buffer
        self._metrics = metrics
        self._buffer_refused = False
        self._appending = 0
        self._live_at = -_LIVE_SECONDS

    @property
    def takes_records(self) -> bool:
        """Whether the destination is up or, as far as the last batch told, the buffer has room."""
        return not self._buffer_refused or (self.breaker.closed and all(lane.direct for lane in self.lanes.values()))

    @property
    def name(self) -> str:
        return self.destination.name

    @property
    def backlog(self) -> Backlog:
        return self._buffer.status()[self.name]

    @property
    def buffering(self) -> bool:
        """Whether batches are on their way to the buffer."""
        return self._appending > 0

    def problems(self) -> Iterator[str]:
        """What is in the way, each as a sentence."""
        if not self.breaker.closed:
            yield self.breaker.reason
        for signal, lane in self.lanes.items():
            if lane.problem:
                yield f"{signal.name} go to the retry buffer: {lane.problem}"
            if lane.aside:
                yield f"{len(lane.aside)} batches of {signal.name} are set aside: {lane.aside.reasons}"

    def wants(self, signal: Signal) -> bool:
        """Whether a live batch would be inserted at once, so that its documents are needed."""
        lane = self.lanes[signal]
        return self.breaker.passable and lane.breaker.passable and not lane.behind

    async def deliver(self, batch: Batch, documents: Documents | None) -> str:
        """Return once each record of the batch is durable for this destination.

        `documents` are the batch's; without them it goes to the buffer.

        Returns a warning for the client, empty when there is none.

        Raises:
            Unavailable: neither the destination nor the buffer took it.
            TooLarge: nor will the buffer ever.
        """
        if documents is not None and self.wants(batch.signal):
            lane = self.lanes[batch.signal]
            in_time = is_small(documents) or (
                self.destination.expected_seconds(documents) <= self.config.insert_timeout
            )
            if in_time:
                warning = await self._insert_live(lane, batch, documents)
                if warning is not None:
                    return warning
        await self._append(batch)
        return ""

    async def _append(self, batch: Batch) -> None:
        lane = self.lanes[batch.signal]
        self._appending += 1
        try:
            await self._buffer.append(batch, self.name)
        except Unavailable:
            self._buffer_refused = True
            raise
        finally:
            self._appending -= 1
            lane.appended = True
            lane.woken.set()
            self.changed.set()
        self._buffer_refused = False
        self._metrics.buffered(self.name, batch)

    async def _insert_live(self, lane: Lane, batch: Batch, documents: Documents) -> str | None:
        """None: it is to go to the buffer. Once a breaker opens it is waited for no longer."""
        self._live_at = started = time.monotonic()
        if self.breaker.closed and lane.breaker.closed:
            return await self._try_live(lane, batch, documents, started, trial=False)
        breakers = (self.breaker, lane.breaker)
        for breaker in breakers:
            breaker.take_trial()
        try:
            return await self._try_live(lane, batch, documents, started, trial=True)
        finally:
            for breaker in breakers:
                breaker.end_trial()
            self.changed.set()
            lane.woken.set()

    async def _try_live(
        self, lane: Lane, batch: Batch, documents: Documents, started: float, *, trial: bool
    ) -> str | None:
        insertion = Insertion()
        try:
            async with asyncio.timeout(self.config.insert_timeout) as timeout:
                lane.live.add(timeout)
                try:
                    warning = await insertion.run(self.destination, self.dead_letters, batch, documents)
                finally:
                    lane.live.discard(timeout)
        except TimeoutError:
            error = DestinationUnavailable(_too_long(self.config.insert_timeout), Scope.SILENCE)
            verdict = self._judge_slow(lane, documents, error, started, trial=trial)
        except DestinationUnavailable as failure:
            error, verdict = failure, self.judge(lane, failure, started, probe=trial)
        else:
            if self.breaker.closed and lane.breaker.closed:
                lane.stored()
            else:
                self.probe_passed(lane)
            return warning
        remembered = Remembered(insertion)
        if verdict is Verdict.BATCH and error.scope is not Scope.SILENCE:
            remembered.aside = str(error)
        remembered.since = started if verdict in (Verdict.BATCH, Verdict.LANE) else 0.0
        if remembered.since or remembered.insertion.begun:
            lane.remember(batch.base_id, remembered)
        return None

    def judge(
        self,
        lane: Lane,
        error: DestinationUnavailable,
        began: float,
        first_failed: float | None = None,
        *,
        probe: bool = False,
    ) -> Verdict:
        """What a failure shows, and what follows for those to come.

        `began`: when this try did, by `time.monotonic`. `first_failed`: when an earlier one of the same batch failed.
        `probe`: whether a breaker waits for what became of it.
        """
        match error.scope:
            case Scope.SERVER:
                self.silent = False
                _failed(self.breaker, str(error), probe=probe)
                return Verdict.SERVER
            case Scope.SILENCE if not self.destination.answered_since(began):
                self.silent = True
                _failed(self.breaker, str(error), probe=probe)
                return Verdict.SERVER
            case Scope.COLLECTION if not lane.stored_since(first_failed or began):
                _failed(lane.breaker, str(error), probe=probe)
                return Verdict.LANE
            case _:
                return Verdict.BATCH

    def probe_passed(self, lane: Lane) -> None:
        """So the server takes writes, and the collection does."""
        lane.stored()
        lane.breaker.succeed()
        self.breaker.succeed()

    def next_round_bytes(self) -> int:
        """Payload bytes that replay may have on their way now, by whether live inserts come."""
        live = time.monotonic() - self._live_at < _LIVE_SECONDS or any(lane.live for lane in self.lanes.values())
        return self.config.replay_bytes_beside_live if live else self.config.replay_bytes

    def _judge_slow(
        self, lane: Lane, documents: Documents, error: DestinationUnavailable, started: float, *, trial: bool
    ) -> Verdict:
        """A live insert was not answered in time, or was released since another one failed."""
        if not trial and not (self.breaker.closed and lane.direct):
            return Verdict.SERVER  # it shows nothing by itself
        verdict = self.judge(lane, error, started, probe=trial)
        if verdict is Verdict.BATCH and not self.destination.expected_seconds(documents):
            # Nor was it large: what comes is more than the destination takes.
            self._fall_behind(lane, str(error))
        return verdict

    def _fall_behind(self, lane: Lane, reason: str) -> None:
        if lane.behind:
            return
        lane.behind = f"{reason} while others were answered; it goes on when the backlog is brought over"
        _log.warning(
            "destination is too slow: batches go to the retry buffer until it has caught up",
            destination=self.name,
            signal=lane.signal.name,
            reason=reason,
        )
        self._note_direct(lane)
        lane.release()
        lane.woken.set()

    def caught_up(self, lane: Lane) -> None:
        """Live batches of the lane may go directly again."""
        if lane.behind:
            lane.behind = ""
            self._note_direct(lane)
            _log.info("destination has caught up", destination=self.name, signal=lane.signal.name)

    def fall_behind(self, reason: str) -> None:
        """The destination is up, but too slow for live inserts."""
        for lane in self.lanes.values():
            self._fall_behind(lane, reason)

    def _on_server(self, closed: bool, reason: str) -> None:
        self._metrics.destination_open(self.name, not closed)
        self.changed.set()
        self._wake_lanes()
        if closed:
            self.silent = False
            _log.info("destination takes inserts again", destination=self.name)
            return
        for lane in self.lanes.values():
            lane.release()
        _log.error("destination failed: batches for it go to the retry buffer", destination=self.name, reason=reason)

    def _wake_lanes(self) -> None:
        for lane in self.lanes.values():
            lane.woken.set()

    def _on_lane(self, lane: Lane, closed: bool, reason: str) -> None:
        self._note_direct(lane)
        lane.woken.set()
        names = {"destination": self.name, "signal": lane.signal.name, "collection": lane.signal.collection}
        if closed:
            _log.info("collection takes inserts again", **names)
            return
        _log.error("collection refuses inserts: its batches go to the retry buffer", **names, reason=reason)

    def _note_direct(self, lane: Lane) -> None:
        self._metrics.signal_blocked(self.name, lane.signal, not lane.direct)

    def _on_aside(self, lane: Lane, count: int) -> None:
        self._metrics.set_aside(self.name, lane.signal, count)


def _failed(breaker: CircuitBreaker, reason: str, *, probe: bool) -> None:
    if probe and not breaker.closed:
        breaker.probe_failed(reason)
    else:
        breaker.fail(reason)


def _too_long(seconds: float) -> str:
    return f"the insert took longer than {seconds:g} s"
