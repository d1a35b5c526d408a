"""How much telemetry may be on its way at once."""

from __future__ import annotations

from types import TracebackType

from exporter import Overloaded

_RETRY_SECONDS = 1.0


class MemoryBudget:
    """Bounds the bytes of all requests in flight. For one event loop; not for threads."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._in_use = 0

    @property
    def in_use(self) -> int:
        """Bytes reserved now."""
        return self._in_use

    def reservation(self) -> Reservation:
        """Room for one request; nothing is reserved yet."""
        return Reservation(self)

    def _take(self, more: int, held: int) -> None:
        # A request that is alone always gets its bytes, or one above the budget could never be sent.
        if self._in_use + more > self._max_bytes and self._in_use > held:
            raise Overloaded(
                f"{self._in_use} of {self._max_bytes} bytes are taken by requests in flight and this one "
                f"needs {more} more: send it again later, or less at a time",
                retry_after=_RETRY_SECONDS,
            )
        self._in_use += more

    def _give_back(self, held: int) -> None:
        self._in_use -= held


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
            self._budget._take(size - self._held, self._held)  # noqa: SLF001 - two halves of one thing
            self._held = size

    def __enter__(self) -> Reservation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._budget._give_back(self._held)  # noqa: SLF001
        self._held = 0
