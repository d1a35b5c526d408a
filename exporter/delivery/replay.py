"""Replay of one destination's backlog: a `LaneReplay` for each signal, and the probes while the server takes nothing.

Probes come after waits that grow with each failure and end early when the driver sees the server return. A probe is a
small piece of a batch that waits, from another lane or batch each time. Where none waits, or replay is paused, the
breaker is half open once the server answers: the next live batch is the probe, and the others go to the buffer.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque

import structlog

from exporter.delivery.lane import Lane
from exporter.delivery.lane_replay import LaneReplay
from exporter.delivery.pipeline import Pipeline, Verdict
from exporter.delivery.telemetry import DeliveryMetrics
from exporter.errors import DestinationUnavailable, Unavailable
from exporter.interfaces import BatchBuffer, Transcoder
from exporter.supervision import SupervisedTask, Supervisor

_PROGRESS_SECONDS = 10.0

_log = structlog.get_logger(__name__)


class Replayer:
    """Owns the tasks that replay one pipeline's backlog."""

    def __init__(
        self,
        pipeline: Pipeline,
        buffer: BatchBuffer,
        transcoder: Transcoder,
        metrics: DeliveryMetrics,
        tasks: Supervisor,
    ) -> None:
        self._pipeline = pipeline
        self._metrics = metrics
        self._supervisor = tasks
        self._lanes = [
            LaneReplay(pipeline, lane, buffer, transcoder, self._on_brought) for lane in pipeline.lanes.values()
        ]
        self._turns = deque(self._lanes)
        """The first one's batch is the next probe."""
        self._paused = False
        self._moved = asyncio.Event()
        """Set when batches left the buffer."""
        self._progress = _Progress(pipeline.name)
        self._tasks: list[SupervisedTask] = []

    def start(self) -> None:
        name = self._pipeline.name
        self._tasks = [
            self._supervisor.start(f"replay {name} {replay.lane.signal.name}", replay.run) for replay in self._lanes
        ]
        self._tasks.append(self._supervisor.start(f"probe {name}", self._probe_when_open))

    async def stop(self) -> None:
        """Stop, cutting off what is on its way. What was not brought over stays in the buffer."""
        await asyncio.gather(*(task.stop() for task in self._tasks))
        self._tasks.clear()

    @property
    def paused(self) -> bool:
        return self._paused

    def pause(self) -> None:
        """Begin to bring nothing more over. Live batches, and finding out whether they can go, are not concerned."""
        self._set_paused(True)

    def resume(self) -> None:
        """Go on, and try at once what was set aside."""
        for replay in self._lanes:
            replay.lane.aside.hurry()
        self._set_paused(False)

    def look_again(self) -> None:
        """Batches that could not be read before may stand anywhere in the buffer: look through all of it."""
        for replay in self._lanes:
            replay.look_again()

    async def drained(self) -> None:
        """Return once nothing waits for the destination: only a replay that is not paused gets there."""
        while self._pipeline.backlog.batches:
            self._moved.clear()
            await self._moved.wait()

    async def settled(self) -> None:
        """Return once nothing waits, or what waits cannot be brought over now."""
        for replay in self._lanes:
            replay.settled.clear()
            replay.lane.woken.set()
        await asyncio.gather(*(replay.settled.wait() for replay in self._lanes))

    def _set_paused(self, paused: bool) -> None:
        self._paused = paused
        for replay in self._lanes:
            replay.paused = paused
            replay.lane.woken.set()
        self._pipeline.changed.set()

    async def _probe_when_open(self) -> None:
        pipeline, breaker = self._pipeline, self._pipeline.breaker
        while True:
            pipeline.changed.clear()
            if breaker.closed:
                await pipeline.changed.wait()
                continue
            async with asyncio.TaskGroup() as group:
                explaining = group.create_task(self._explain())
                try:
                    await self._probe_once()
                finally:
                    explaining.cancel()

    async def _probe_once(self) -> None:
        """Wait for the next probe and make it. Returns when there may be another."""
        pipeline, breaker = self._pipeline, self._pipeline.breaker
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(breaker.next_probe()):
                await pipeline.destination.returned()
        while pipeline.buffering:
            # What failed just now is the best probe, and it is on its way to where it can be had.
            pipeline.changed.clear()
            await pipeline.changed.wait()
        await asyncio.gather(*(replay.withdrawn.wait() for replay in self._lanes))
        if await self._probe_lanes() or breaker.closed:
            return
        try:
            await pipeline.destination.ping()
        except DestinationUnavailable as error:
            breaker.probe_failed(str(error))
            return
        pipeline.changed.clear()
        if all(not replay.lane.breaker.closed for replay in self._lanes):
            breaker.succeed()  # the server answers, and each collection is waited for by its lane
            return
        breaker.offer_trial()
        await pipeline.changed.wait()

    async def _probe_lanes(self) -> bool:
        """Whether it is known now if the server takes writes. Lanes that are blocked come last."""
        if self._paused:
            return False
        self._turns.rotate(-1)
        for replay in sorted(self._turns, key=lambda replay: not replay.lane.breaker.closed):
            try:
                verdict = await replay.probe()
            except Unavailable as error:
                _log.warning("the retry buffer cannot be read", destination=self._pipeline.name, reason=str(error))
                continue
            if verdict in (Verdict.PASSED, Verdict.SERVER):
                return True
        return False

    async def _explain(self) -> None:
        """Find out why there is no answer, where that is all that is known."""
        pipeline = self._pipeline
        if not pipeline.silent:
            return
        why = await pipeline.destination.diagnose()
        if why and why not in pipeline.breaker.reason:
            pipeline.breaker.explain(f"{pipeline.breaker.reason}: {why}")
            _log.error("why the destination does not answer inserts", destination=pipeline.name, reason=why)

    def _on_brought(self, lane: Lane, records: int) -> None:
        self._metrics.replayed(self._pipeline.name, lane.signal, records)
        left = self._pipeline.backlog
        self._progress.add(records, left.records)
        if not left.batches:
            self._progress.finish()
        self._moved.set()


class _Progress:
    """Logs the progress of one backlog's replay: its first round, every ten seconds, its end."""

    def __init__(self, destination: str) -> None:
        self._destination = destination
        self._records = 0
        self._started = 0.0
        self._next_line = 0.0

    def add(self, records: int, left: int) -> None:
        now = time.monotonic()
        if not self._records:
            self._started = self._next_line = now
        self._records += records
        if now >= self._next_line:
            self._next_line = now + _PROGRESS_SECONDS
            _log.info("replaying the backlog", destination=self._destination, records=self._records, left=left)

    def finish(self) -> None:
        if self._records:
            seconds = round(time.monotonic() - self._started, 3)
            _log.info("backlog replayed", destination=self._destination, records=self._records, seconds=seconds)
            self._records = 0
