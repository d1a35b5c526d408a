"""The insertion of one batch into one destination, which goes on where it ended when it is run again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from exporter.batch import Batch
from exporter.delivery.dead_letters import DeadLetters
from exporter.errors import DestinationUnavailable, Scope
from exporter.interfaces import Destination, Documents, Refusal
from exporter.progress import Progress

_STRETCH = 20_000
"""Documents whose refusals are kept in memory together, and become dead letters before the next ones are inserted."""
_SMALL = 4 << 10
"""Bytes of documents that are simply inserted again. Most requests of single records are below it."""


@dataclass(slots=True)
class Insertion:
    """How far it is. Holds no documents: it outlives them, in memory only."""

    start: int = 0
    """Documents before this one are stored, or their dead letters are."""
    progress: Progress | None = None
    """Of the documents from `start` on."""
    refused: tuple[Refusal, ...] = ()
    """Of the stretch from `start` on, all others of which are stored: they wait for their dead letters."""

    @property
    def begun(self) -> bool:
        """Whether it is worth being remembered."""
        return bool(self.start or self.refused or (self.progress and (self.progress.reached or self.progress.left)))

    async def run(
        self,
        destination: Destination,
        dead_letters: DeadLetters,
        batch: Batch,
        documents: Documents,
        on_advance: Callable[[], None] | None = None,
    ) -> str:
        """Insert what is not stored yet; what is refused becomes dead letters.

        `on_advance`: called whenever some were settled. Returns a warning for the client, empty when there is none.

        Raises:
            DestinationUnavailable: run it again later, with the same documents.
        """
        warnings: list[str] = []
        while self.start < len(documents):
            stop = min(self.start + _STRETCH, len(documents))
            if not self.refused:
                part = documents if stop - self.start == len(documents) else documents.part(self.start, stop)
                if not is_small(documents):
                    self.progress = self.progress or Progress()
                    self.progress.on_advance = on_advance
                result = await destination.insert(batch.signal.collection, part, self.progress)
                self.refused = result.refusals
            if self.refused:
                warnings.append(await self._keep_refused(destination, dead_letters, batch))
                if on_advance:
                    on_advance()
            self.start, self.progress, self.refused = stop, None, ()
        return "; ".join(warnings)

    async def _keep_refused(self, destination: Destination, dead_letters: DeadLetters, batch: Batch) -> str:
        refusals = [replace(refusal, index=self.start + refusal.index) for refusal in self.refused]
        try:
            return await dead_letters.keep(destination, batch, refusals)
        except DestinationUnavailable as error:
            raise about_letters(error) from error


def is_small(documents: Documents) -> bool:
    """Whether it is not worth a thought how far they have come, or how long they take."""
    return documents.offsets[-1] <= _SMALL


def about_letters(error: DestinationUnavailable) -> DestinationUnavailable:
    """What is wrong with the dead letters' collection is no reason to hold up the batch's own one."""
    if error.scope in (Scope.SERVER, Scope.SILENCE):
        return error
    return DestinationUnavailable(f"its dead letters cannot be written: {error}", Scope.BATCH)
