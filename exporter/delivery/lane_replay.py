"""Replay of one lane: brings one signal's backlog from the retry buffer to one destination, oldest first.

So many batches are on their way at once as their number, their payloads' bytes and their documents' bytes allow. Each
leaves the buffer only after every record of it is stored or a dead letter, so that a crash at any point makes it come
again, and its `_id`s make that harmless. A large one goes in pieces beside the others, and one that fails while others
pass steps aside: neither holds up those behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

import structlog

from exporter.delivery.insertion import about_letters
from exporter.delivery.lane import Lane, Remembered
from exporter.delivery.loader import Loader
from exporter.delivery.pipeline import Pipeline, Verdict
from exporter.delivery.probe import probe
from exporter.delivery.transcoding import Outcome, Untranscodable
from exporter.delivery.window import UnderWay, Window
from exporter.errors import DestinationUnavailable, Scope, Unavailable
from exporter.interfaces import BatchBuffer, Documents, StoredBatch, Transcoder

_BEHIND_PAUSED = 5.0
"""Seconds after which live batches go directly again though replay, which is paused, cannot catch up."""

_SHORTEST_REST = 0.01

_log = structlog.get_logger(__name__)


class LaneReplay:
    """Replays one lane's backlog; `Replayer` owns its task."""

    def __init__(
        self,
        pipeline: Pipeline,
        lane: Lane,
        buffer: BatchBuffer,
        transcoder: Transcoder,
        on_brought: Callable[[Lane, int], None],
    ) -> None:
        """`on_brought`: told how many records came over and left the buffer."""
        self.lane = lane
        self._pipeline = pipeline
        self._buffer = buffer
        self._on_brought = on_brought
        self._names = {"destination": pipeline.name, "signal": lane.signal.name}
        self._window = Window(lane.woken.set)
        self._brought: dict[int, int] = {}
        """Records by position: of those that came over but are not removed from the buffer yet."""
        self._remove_at = 0.0
        self._loader = Loader(pipeline, lane, buffer, transcoder, self._window, self._start, self._brought.__contains__)
        self._trial_at: float | None = None
        self._behind_until: float | None = None
        self.paused = False
        self.settled = asyncio.Event()
        """Set when nothing waits, or what waits cannot be brought over now."""
        self.withdrawn = asyncio.Event()
        """Set while nothing is on its way since the server takes nothing."""

    async def run(self) -> None:
        """Replay until cancelled."""
        try:
            while True:
                self.lane.woken.clear()
                try:
                    pause = await self._step()
                except Unavailable as error:
                    _log.warning("replay waits", **self._names, reason=str(error))
                    pause = error.retry_after
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self.lane.woken.wait()
        finally:
            await self._window.cancel()
            self._take_ended()

    def look_again(self) -> None:
        """There may be batches before those that were read."""
        self._loader.look_again()
        self.lane.woken.set()

    async def probe(self) -> Verdict:
        """Insert a small piece of a batch that waits. Raises Unavailable."""
        found = await self._loader.probe()
        if found is None:
            return Verdict.NOTHING
        item, outcome = found
        if not isinstance(outcome, Documents) or not len(outcome):
            return Verdict.BATCH
        return await probe(self._pipeline, self.lane, item.batch, outcome)

    async def _step(self) -> float | None:
        """Do what can be done now. Returns the seconds until there may be more; None: until something happens."""
        self._take_ended()
        await self._remove_brought()
        if not self._pipeline.breaker.closed:
            await self._withdraw()
            self._trial_at = None
            self.withdrawn.set()
            return None
        self.withdrawn.clear()
        if not self.lane.breaker.closed:
            await self._withdraw()
            return await self._try_lane()
        self._trial_at = None
        if self.paused:
            self.settled.set()
            return self._let_pass_while_paused()
        self._behind_until = None
        await self._loader.fill()
        return self._rest()

    async def _withdraw(self) -> None:
        await self._window.cancel()
        self._take_ended()
        self.settled.set()

    async def _try_lane(self) -> float | None:
        """The collection refuses what comes: probe it from time to time."""
        breaker, now = self.lane.breaker, time.monotonic()
        if self._trial_at is None:
            self._trial_at = now + breaker.next_probe()
        if now < self._trial_at:
            return self._trial_at - now
        self._trial_at = None
        verdict = Verdict.NOTHING if self.paused else await self.probe()
        if verdict in (Verdict.NOTHING, Verdict.BATCH):
            breaker.offer_trial()
        return None if verdict is Verdict.NOTHING else 0.0

    def _let_pass_while_paused(self) -> float | None:
        if not self.lane.behind:
            return None
        now = time.monotonic()
        if self._behind_until is None:
            self._behind_until = now + _BEHIND_PAUSED
        if now < self._behind_until:
            return self._behind_until - now
        self._behind_until = None
        self._pipeline.caught_up(self.lane)
        return None

    def _rest(self) -> float | None:
        """Note how it stands, and return when there may be more to do."""
        if len(self._window) or self._loader.waiting:
            self.settled.clear()
        else:
            self._pipeline.caught_up(self.lane)
            self.settled.set()
        waits = [self.lane.aside.due_in(), self._loader.look_in()]
        if self._brought:
            waits.append(max(self._remove_at - time.monotonic(), 0.0))
        return min((max(wait, _SHORTEST_REST) for wait in waits if wait is not None), default=None)

    def _start(self, item: StoredBatch, outcome: Outcome, is_large: bool) -> None:
        remembered = self.lane.recall(item.batch.base_id)
        size = outcome.size if isinstance(outcome, Documents) else 0
        under_way = UnderWay(item, remembered, size, time.monotonic(), is_large)
        self._window.start(under_way, self._bring(item, outcome, remembered))

    async def _bring(self, item: StoredBatch, outcome: Outcome, remembered: Remembered) -> None:
        pipeline, batch, limit = self._pipeline, item.batch, self._pipeline.config.replay_timeout
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(limit) as timeout:

                def on_advance() -> None:
                    if not timeout.expired():
                        timeout.reschedule(loop.time() + limit)

                if isinstance(outcome, Documents):
                    await remembered.insertion.run(
                        pipeline.destination, pipeline.dead_letters, batch, outcome, on_advance
                    )
                elif isinstance(outcome, Untranscodable):
                    reason = f"it cannot be transcoded: {outcome.reason}"
                    try:
                        await pipeline.dead_letters.keep_whole(pipeline.destination, batch, reason)
                    except DestinationUnavailable as error:
                        raise about_letters(error) from error
        except TimeoutError as error:
            raise DestinationUnavailable(f"it made no progress in {limit:g} s", Scope.SILENCE) from error

    def _take_ended(self) -> None:
        for under_way, error in self._window.ended():
            if under_way.is_large:
                self._pipeline.large_turn.release()
            batch, position = under_way.item.batch, under_way.item.position
            if error is None:
                self._brought[position] = batch.records
                self.lane.stored()
                self.lane.forget(batch.base_id)
                if position in self.lane.aside:
                    self.lane.aside.passed(position)
            elif isinstance(error, DestinationUnavailable):
                self._failed(under_way, error)
            elif isinstance(error, asyncio.CancelledError):
                self._put_back(under_way)
            else:
                # Nobody else would see it, and the others must not wait for it.
                _log.error("replay of a batch failed unexpectedly", **self._names, exc_info=error)
                self.lane.aside.add(position, f"unexpected: {type(error).__name__}")

    def _failed(self, under_way: UnderWay, error: DestinationUnavailable) -> None:
        remembered, position = under_way.remembered, under_way.item.position
        failed_at = remembered.since or under_way.started
        verdict = self._pipeline.judge(self.lane, error, under_way.started, failed_at)
        if verdict is not Verdict.SERVER:
            remembered.since = failed_at
        if verdict is not Verdict.BATCH:
            self._put_back(under_way)
            return
        if position not in self.lane.aside:
            _log.warning(
                "a batch fails while others pass: it is set aside in the retry buffer and tried again by itself",
                **self._names,
                records=under_way.item.batch.records,
                reason=str(error),
            )
        self.lane.aside.add(position, str(error))
        self.lane.remember(under_way.item.batch.base_id, remembered)

    def _put_back(self, under_way: UnderWay) -> None:
        if under_way.remembered.insertion.begun or under_way.remembered.since:
            self.lane.remember(under_way.item.batch.base_id, under_way.remembered)
        self._loader.put_back(under_way)

    async def _remove_brought(self) -> None:
        if not self._brought or time.monotonic() < self._remove_at:
            return
        removed = dict(self._brought)
        try:
            await self._buffer.remove(self._pipeline.name, list(removed))
        except Unavailable as error:
            self._remove_at = time.monotonic() + error.retry_after
            _log.warning(
                "what was brought over cannot be removed from the retry buffer yet", **self._names, reason=str(error)
            )
            return
        for position in removed:
            del self._brought[position]
        self._on_brought(self.lane, sum(removed.values()))
