"""What only one at a time may have."""

from __future__ import annotations

from collections.abc import Callable


class Turn:
    """Of the large batches of a destination, one at a time is in memory: whoever has the turn."""

    def __init__(self, on_release: Callable[[], None]) -> None:
        self._on_release = on_release
        self._taken = False

    def take(self) -> bool:
        """Whether it was free, and is the caller's now."""
        if self._taken:
            return False
        self._taken = True
        return True

    def release(self) -> None:
        """The next may take it."""
        self._taken = False
        self._on_release()
