"""How far the documents of one batch have come in one destination."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exporter.interfaces import InsertResult, Refusal


@dataclass(slots=True)
class Progress:
    """Survives a failed insert, so that the next one goes on where it ended and does not begin anew.

    It holds positions and refusals, no documents: they are made again. What is forgotten with the process is
    inserted again, which stores nothing twice.
    """

    reached: int = 0
    """All documents before this one are settled (stored or refused), except those that are `left`."""
    left: Sequence[int] = ()
    """Those that were sent and postponed, in ascending order."""
    duplicates: int = 0
    refusals: tuple[Refusal, ...] = ()
    on_advance: Callable[[], None] | None = None
    """Called when documents were settled: whoever limits the time of an insert begins to count anew."""

    def next(self, count: int, limit: int) -> Sequence[int]:
        """The documents to send next, of `count` in all and at most `limit`. None when all are settled."""
        if self.left:
            return self.left[:limit]
        return range(self.reached, min(self.reached + limit, count))

    def settle(self, sent: Sequence[int], result: InsertResult) -> None:
        """Note what became of the documents that `next` gave, or of the first of them."""
        postponed = [sent[refusal.index] for refusal in result.postponed]
        if self.left:
            self.left = [*postponed, *self.left[len(sent) :]]
        else:
            self.reached, self.left = sent[-1] + 1, postponed
        self.duplicates += result.duplicates
        if result.refusals:
            self.refusals += tuple(
                Refusal(sent[refusal.index], refusal.code, refusal.reason) for refusal in result.refusals
            )
        if self.on_advance and len(postponed) < len(sent):
            self.on_advance()

    def result(self, count: int) -> InsertResult:
        """What became of all `count` documents."""
        refusals = tuple(sorted(self.refusals, key=lambda refusal: refusal.index))
        return InsertResult(count - self.duplicates - len(refusals), self.duplicates, refusals)
