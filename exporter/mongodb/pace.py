"""How much a destination takes at a time: the size of a piece follows the speed that is measured.

A piece is what one insert command takes. It begins small, doubles while it is answered quickly, shrinks to what takes
about half a second where answers are slow, and to a quarter when none comes, down to a single document. So a link of
200 KB/s gets pieces of 100 KB, and a MongoDB beside us the most that `chunks` allows.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from exporter.interfaces import Documents
from exporter.mongodb.chunks import MAX_CHUNK_BYTES, MAX_CHUNK_DOCUMENTS

_FIRST_DOCUMENTS = 1000
_FIRST_BYTES = 512 << 10
"""Of a piece while nothing is known: at 200 KB/s it takes 2.6 s."""
_SMALL_DOCUMENTS = 100
_SMALL_BYTES = 16 << 10
"""Slow answers do not shrink a piece below this: what they cost then is the way there and back, not the size."""
_LEAST_BYTES = 1 << 10
_TARGET = 0.5
"""Seconds that a piece may take."""
_STALE = 30.0
"""Seconds after which what was measured is no longer relied on."""
_SLOWEST = 64 << 10
"""Bytes a second: what a single document that cannot be cut may take while no speed is known."""
_LONGEST = 300.0


class Pace:
    """The measured pace of one destination. Times in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.documents = _FIRST_DOCUMENTS
        """Documents of a piece, at most."""
        self.bytes = _FIRST_BYTES
        """Bytes of a piece, at most; a larger document goes alone."""
        self._clock = clock
        self._answered = -_STALE
        self._documents_a_second = 0.0
        self._bytes_a_second = 0.0
        """0: not known."""

    def fits(self, documents: Documents) -> bool:
        """Whether they are one piece."""
        count, size = len(documents), documents.size
        if count > _FIRST_DOCUMENTS or size > _FIRST_BYTES:
            self._forget_if_stale()
        return count <= self.documents and size <= self.bytes

    def answered_since(self, moment: float) -> bool:
        return self._answered > moment

    def answered(self, documents: int, size: int, seconds: float) -> None:
        """An insert of these documents was answered, and what it wrote is durable."""
        self._answered = self._clock()
        if 2 * documents < self.documents and 2 * size < self.bytes and seconds < _TARGET:
            return  # says nothing of more than it had
        self._measure(documents, size, seconds)
        if seconds > _TARGET and (documents > _SMALL_DOCUMENTS or size > _SMALL_BYTES):
            self._shrink(documents, size, _TARGET / seconds, _SMALL_DOCUMENTS, _SMALL_BYTES)
        elif seconds <= _TARGET / 2 or (documents <= _SMALL_DOCUMENTS and size <= _SMALL_BYTES):
            self.documents = min(2 * self.documents, MAX_CHUNK_DOCUMENTS)
            self.bytes = min(2 * self.bytes, MAX_CHUNK_BYTES)

    def unanswered(self, documents: int, size: int, seconds: float) -> None:
        """An insert of these documents was given up."""
        if seconds >= _TARGET:
            self._shrink(documents, size, 1 / 4, 1, _LEAST_BYTES)

    def throttled(self, documents: int) -> None:
        """Of so many documents sent together, some were postponed."""
        self.documents = max(min(self.documents, documents) // 2, 1)

    def expected_seconds(self, documents: Documents) -> float:
        """See `Destination.expected_seconds`."""
        if self.fits(documents):
            return 0.0
        by_count = len(documents) / self._documents_a_second if self._documents_a_second else 0.0
        by_size = documents.size / self._bytes_a_second if self._bytes_a_second else 0.0
        return max(by_count, by_size)

    def limit(self, size: int) -> float:
        """The time that a single document of so many bytes may take beside that of any command."""
        return min(size / (self._bytes_a_second / 4 or _SLOWEST), _LONGEST)

    def _measure(self, documents: int, size: int, seconds: float) -> None:
        """By the one of both that the piece had more of, by the measure of the largest."""
        seconds = max(seconds, 1e-4)
        if documents / MAX_CHUNK_DOCUMENTS >= size / MAX_CHUNK_BYTES:
            self._documents_a_second = documents / seconds
        else:
            self._bytes_a_second = size / seconds

    def _shrink(self, documents: int, size: int, factor: float, least_documents: int, least_bytes: int) -> None:
        self.documents = min(self.documents, max(int(documents * factor), least_documents))
        self.bytes = min(self.bytes, max(int(size * factor), least_bytes))

    def _forget_if_stale(self) -> None:
        if self._clock() - self._answered > _STALE:
            self.documents = min(self.documents, _FIRST_DOCUMENTS)
            self.bytes = min(self.bytes, _FIRST_BYTES)
            self._documents_a_second = self._bytes_a_second = 0.0
