"""Chooses which batches of a lane's backlog are brought over next, and makes documents of them.

There are three kinds: those in their order, as many as there is room for; large ones, one at a time for all of the
destination's lanes, beside the others; and those that stepped aside, one at a time when they are due. Which are large
shows only when they are transcoded: a few kilobytes can stand for two million records.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from exporter.delivery.lane import Lane
from exporter.delivery.pipeline import Pipeline
from exporter.delivery.reader import Reader
from exporter.delivery.transcoding import Outcome, TooLarge, transcode
from exporter.delivery.window import UnderWay, Window
from exporter.interfaces import BatchBuffer, StoredBatch, Transcoder

_LARGE_WAITING = 1000
"""Positions of large batches that wait for their turn. More are passed over, and found again."""
_LOOK_AGAIN = 10.0
"""Seconds between two readings of the backlog from its start."""
_NO_TURN = 1.0
"""Seconds after which a large batch that stepped aside asks for the turn again."""

Start = Callable[[StoredBatch, Outcome, bool], None]
"""Begins to bring one over; the last argument says whether it has the turn of the large ones."""


class Loader:
    """Fills a lane's window."""

    def __init__(
        self,
        pipeline: Pipeline,
        lane: Lane,
        buffer: BatchBuffer,
        transcoder: Transcoder,
        window: Window,
        start: Start,
        is_brought: Callable[[int], bool],
    ) -> None:
        """`is_brought`: whether the batch at a position came over and is still to be removed."""
        self._pipeline = pipeline
        self._lane = lane
        self._transcoder = transcoder
        self._window = window
        self._start = start
        self._is_brought = is_brought
        self._reader = Reader(buffer, pipeline.name, lane.signal.name, self._has_place)
        self._large: OrderedDict[int, None] = OrderedDict()
        self._probed = 0
        """The position of the last batch that served as a probe: the next one is another."""
        self._crowded = False
        """Whether the next batch has room only when fewer are on their way."""
        self._passed_over = False
        """Whether some may wait before what was read that have no place elsewhere."""
        self._look_at = 0.0

    @property
    def waiting(self) -> bool:
        """Whether there are batches whose turn comes without anybody's doing."""
        return bool(self._large) or not self._reader.at_end

    def look_in(self) -> float | None:
        """Seconds until it should look through the whole backlog again; None: it need not."""
        if not self._passed_over or len(self._large) >= _LARGE_WAITING:
            return None
        return max(self._look_at - time.monotonic(), 0.0)

    def look_again(self) -> None:
        """Read the backlog from its start when its end is reached."""
        self._passed_over = True
        self._look_at = 0.0

    async def fill(self) -> None:
        """Start as many as there is room for. Raises Unavailable."""
        await self._start_aside()
        await self._start_large()
        while await self._start_some():
            pass
        await self._start_large()

    async def probe(self) -> tuple[StoredBatch, Outcome] | None:
        """A batch to try whether it passes, another one each time. Raises Unavailable."""
        item = await self._reader.first(self._probed) or await self._reader.first(0)
        if item is None:
            for position in (*self._large, *self._lane.aside):
                item = await self._reader.at(position)
                break
        if item is None:
            return None
        self._probed = item.position
        (outcome,) = await transcode(self._transcoder, [item], self._pipeline.config.replay_document_bytes)
        if isinstance(outcome, TooLarge) and self._pipeline.large_turn.take():
            try:
                (outcome,) = await transcode(self._transcoder, [item], None)
            finally:
                self._pipeline.large_turn.release()
        return item, outcome

    def put_back(self, under_way: UnderWay) -> None:
        """It was not brought over, and is to be tried again in its order."""
        position = under_way.item.position
        if position in self._lane.aside:
            self._lane.aside.withdraw(position)
        elif under_way.is_large:
            self._large[position] = None
            self._large.move_to_end(position, last=False)
        else:
            self._reader.rewind(position - 1)

    async def _start_some(self) -> bool:
        """Start some of those in their order. Whether there may be more to start."""
        window, config = self._window, self._pipeline.config
        if self._crowded and window.document_bytes:
            return False
        self._crowded = False
        batches = config.replay_batches - len(window)
        budget = self._pipeline.next_round_bytes()
        room = config.replay_document_bytes - window.document_bytes
        if batches <= 0 or room <= 0:
            return False
        payload_room = budget - window.payload_bytes if window.payload_bytes else None
        items = await self._reader.next(batches, budget, payload_room)
        if not items:
            return self._reader.at_end and self._look_from_start()
        items = [item for item in items if not self._steps_aside(item)]
        outcomes: Sequence[Outcome] = ()
        try:
            outcomes = await transcode(self._transcoder, items, room) if items else ()
        finally:
            self._reader.put_back(items[len(outcomes) :])
        for item, outcome in zip(items, outcomes, strict=False):
            if not isinstance(outcome, TooLarge):
                self._start(item, outcome, False)
            elif window.document_bytes:
                self._crowded = True
                self._reader.put_back([item])
            else:
                self._wait_for_turn(item)
        return True

    def _steps_aside(self, item: StoredBatch) -> bool:
        """A live batch that failed while others passed is not tried at once again."""
        remembered = self._lane.recall(item.batch.base_id)
        if remembered.aside:
            self._lane.aside.add(item.position, remembered.aside)
        return bool(remembered.aside)

    async def _start_aside(self) -> None:
        aside = self._lane.aside
        position = aside.next()
        if position is None:
            return
        item = await self._reader.at(position)
        if item is None:
            aside.passed(position)
            return
        (outcome,) = await transcode(self._transcoder, [item], self._pipeline.config.replay_document_bytes)
        if not isinstance(outcome, TooLarge):
            aside.begin(position)
            self._start(item, outcome, False)
        elif self._pipeline.large_turn.take():
            aside.begin(position)
            await self._start_with_turn(item)
        else:
            aside.postpone(_NO_TURN)

    async def _start_large(self) -> None:
        while self._large and self._pipeline.large_turn.take():
            position, _ = self._large.popitem(last=False)
            await self._start_with_turn(await self._reader.at(position))

    async def _start_with_turn(self, item: StoredBatch | None) -> None:
        started = False
        try:
            if item is not None:
                (outcome,) = await transcode(self._transcoder, [item], None)
                self._start(item, outcome, True)
                started = True
        finally:
            if not started:
                if item is not None:
                    self._lane.aside.withdraw(item.position)
                    self._passed_over = True
                self._pipeline.large_turn.release()

    def _wait_for_turn(self, item: StoredBatch) -> None:
        if len(self._large) < _LARGE_WAITING:
            self._large[item.position] = None
        else:
            self._passed_over = True

    def _look_from_start(self) -> bool:
        """At the end of the backlog: whether to read it from its start again, for what is not known to be there."""
        aside = self._lane.aside
        if self._lane.appended or (aside.overflowed and aside.is_half_empty):
            self._lane.appended = aside.overflowed = False
            self._passed_over = True
        if not self._passed_over or time.monotonic() < self._look_at or len(self._large) >= _LARGE_WAITING:
            return False
        self._passed_over = False
        self._look_at = time.monotonic() + _LOOK_AGAIN
        self._reader.rewind()
        return True

    def _has_place(self, position: int) -> bool:
        return (
            position in self._lane.aside
            or position in self._large
            or self._is_brought(position)
            or position in self._window
        )
