"""How much telemetry may be on its way at once."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from exporter import Overloaded

_RETRY_SECONDS = 1.0
_SHARE_FOR_SMALL = 4
"""One part in so many of the budget."""
_SMALL_BYTES = 1024 * 1024
"""What a small request holds at most."""


class MemoryBudget:
    """Bounds the bytes of all requests in flight. For one event loop; not for threads.

    A quarter is kept for small requests, so that large ones, however slow, cannot keep all others out. A large request
    gets its bytes where no other large one is on its way, or one above the budget could never be sent.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept_for_small = max_bytes // _SHARE_FOR_SMALL
        self._small_bytes = min(_SMALL_BYTES, self._kept_for_small // 2)
        self._small = 0
        self._large = 0
        self.when_full: Callable[[], object] = lambda: None
        """Called where a request is refused: somebody may make room for the next."""

    @property
    def max_bytes(self) -> int:
        """The bound."""
        return self._max_bytes

    @property
    def in_use(self) -> int:
        """Bytes reserved now."""
        return self._small + self._large

    def reservation(self) -> Reservation:
        """Room for one request; nothing is reserved yet."""
        return Reservation(self)

    def _change(self, held: int, size: int) -> None:
        """Let a request hold `size` bytes instead of `held`."""
        if size <= self._small_bytes:
            small = self._small - held + size
            if small > self._kept_for_small and small + self._large > self._max_bytes:
                raise self._overloaded(held, size)
            self._small = small
            return
        small, large = self._leave(held)
        if large and (large + size > self._max_bytes - self._kept_for_small or small + large + size > self._max_bytes):
            raise self._overloaded(held, size)
        self._small, self._large = small, large + size

    def _give_back(self, held: int) -> None:
        self._small, self._large = self._leave(held)

    def _leave(self, held: int) -> tuple[int, int]:
        """What is in use without a request that holds so much."""
        if held <= self._small_bytes:
            return self._small - held, self._large
        return self._small, self._large - held

    def _overloaded(self, held: int, size: int) -> Overloaded:
        self.when_full()
        return Overloaded(
            f"{self.in_use} of {self._max_bytes} bytes are taken by requests in flight and this one "
            f"needs {size - held} more: send it again later, or less at a time",
            retry_after=_RETRY_SECONDS,
        )


class Reservation:
    """The bytes one request holds, given back at the end of the `with` block."""

    __slots__ = ("_budget", "_held")

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._held = 0

    def grow_to(self, size: int) -> None:
        """Hold at least `size` bytes.

        Raises:
            Overloaded: they are not there.
        """
        if size > self._held:
            self._budget._change(self._held, size)  # noqa: SLF001 - two halves of one thing
            self._held = size

    def __enter__(self) -> Reservation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._budget._give_back(self._held)  # noqa: SLF001
        self._held = 0
