"""Replay: brings a destination's backlog from the retry buffer to the destination, oldest first.

One round at a time, bounded in bytes and batches, is on its way: live traffic shares the destination with at most
that, and while there is any the rounds are smaller. While the breaker is open a round is a single batch, the probe,
after a wait that grows with each failure and ends early when the driver sees the destination return. A batch leaves
the buffer only after every record of it is stored or a dead letter, so that a crash at any point makes it come again,
and its `_id`s make that harmless.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

import structlog

from exporter.batch import Batch
from exporter.delivery.pipeline import Pipeline
from exporter.delivery.telemetry import DeliveryMetrics
from exporter.errors import DestinationUnavailable, Unavailable
from exporter.interfaces import BatchBuffer, Transcoder
from exporter.supervision import SupervisedTask, Supervisor

_PROGRESS_SECONDS = 10.0

_log = structlog.get_logger(__name__)


class Replayer:
    """Owns the task that replays one pipeline's backlog."""

    def __init__(
        self,
        pipeline: Pipeline,
        buffer: BatchBuffer,
        transcoder: Transcoder,
        metrics: DeliveryMetrics,
        tasks: Supervisor,
    ) -> None:
        self._pipeline = pipeline
        self._buffer = buffer
        self._transcoder = transcoder
        self._metrics = metrics
        self._running = asyncio.Event()
        self._running.set()
        self._drained = asyncio.Event()
        self._settled = asyncio.Event()
        self._progress = _Progress(pipeline.name)
        self._tasks = tasks
        self._task: SupervisedTask | None = None

    def start(self) -> None:
        self._task = self._tasks.start(f"replay {self._pipeline.name}", self._run)

    async def stop(self) -> None:
        """Stop after the round that is on its way was cut off. What was not brought over stays in the buffer."""
        if self._task:
            await self._task.stop()
            self._task = None

    @property
    def paused(self) -> bool:
        return not self._running.is_set()

    def pause(self) -> None:
        self._running.clear()
        self._settled.set()

    def resume(self) -> None:
        self._running.set()

    async def drained(self) -> None:
        """Return once nothing waits for the destination: only a replay that is not paused gets there."""
        while self._pipeline.backlog.batches:
            self._drained.clear()
            await self._drained.wait()

    async def settled(self) -> None:
        """Return once nothing waits, or what waits cannot be brought over now."""
        await self._settled.wait()

    async def _run(self) -> None:
        while True:
            try:
                await self._turn()
            except Unavailable as error:
                _log.warning("the retry buffer cannot be read", destination=self._pipeline.name, reason=str(error))
                await asyncio.sleep(error.retry_after)

    async def _turn(self) -> None:
        pipeline = self._pipeline
        await self._running.wait()
        pipeline.woken.clear()
        if not pipeline.breaker.closed:
            self._note(stuck=True)
            await self._probe()
            return
        try:
            brought = await self._round(pipeline.config.replay_batches)
        except DestinationUnavailable as error:
            pipeline.breaker.fail(str(error))
            return
        if not brought:
            self._note(stuck=False)
            self._progress.finish()
            await pipeline.woken.wait()

    async def _probe(self) -> None:
        """Wait for the next probe of an open breaker, and make it."""
        pipeline = self._pipeline
        await self._wait_for_probe(pipeline.breaker.next_probe())
        started = time.monotonic()
        try:
            if not await self._round(1):
                await pipeline.destination.ping()
            # Up, but too slow for live inserts: its records keep coming by way of the buffer until it has caught up.
            while time.monotonic() - started > pipeline.config.insert_timeout:
                started = time.monotonic()
                if not await self._round(pipeline.config.replay_batches):
                    break
        except DestinationUnavailable as error:
            pipeline.breaker.probe_failed(str(error))
        else:
            pipeline.breaker.succeed()

    def _note(self, *, stuck: bool) -> None:
        """Tell those who wait for the backlog's end how it stands. `stuck`: the destination does not take it now."""
        drained = not self._pipeline.backlog.batches
        _set(self._drained, drained)
        _set(self._settled, drained or stuck)

    async def _wait_for_probe(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._pipeline.destination.returned()

    async def _round(self, batches: int) -> bool:
        """Bring over the oldest batches. False when there were none.

        Raises:
            DestinationUnavailable: not all of them came over.
        """
        name = self._pipeline.name
        stored = await self._buffer.oldest(name, batches, max_bytes=self._pipeline.next_round_bytes())
        if not stored:
            return False
        self._note(stuck=False)
        outcomes = await asyncio.gather(*(self._bring(item.batch) for item in stored), return_exceptions=True)
        brought = [item for item, outcome in zip(stored, outcomes, strict=True) if outcome is None]
        await self._buffer.remove(name, [item.position for item in brought])
        for item in brought:
            self._metrics.replayed(name, item.batch)
        self._progress.add(sum(item.batch.records for item in brought), self._pipeline.backlog.records)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
        return True

    async def _bring(self, batch: Batch) -> None:
        pipeline = self._pipeline
        try:
            documents = await asyncio.to_thread(self._transcoder.transcode, batch)
        except Exception as error:
            # Whatever it is, the batches behind this one must not wait for it.
            await pipeline.set_aside(batch, f"it cannot be transcoded: {error!r}")
            return
        await pipeline.insert(batch, documents, pipeline.config.replay_timeout)


def _set(event: asyncio.Event, value: bool) -> None:
    if value:
        event.set()
    else:
        event.clear()


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
