"""Lines to a file descriptor, by a thread of its own: whoever has something to log neither waits nor fails.

- `write` puts a line into a queue that is bounded in lines and bytes. A line that finds no room is dropped and counted.
- One daemon thread takes them out. A reader who does not read (a pipe that is full) makes that thread wait, and nothing
  else. A write that fails (the reader is gone, the disk is full) costs the lines that it was for; the next ones are
  tried again, so that all goes on when the reader or the room is back.
- Once there is room again, or writing works again, a line says how many were dropped.
- Lines stay whole: what was cut off by a failure is ended before the next one begins.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

MAX_LINES = 10_000
MAX_BYTES = 4 << 20
_BATCH_BYTES = 64 << 10
_LOOK_AGAIN_MILLISECONDS = 1000
_NEWLINE = b"\n"

_NOTICE = object()
"""In the queue: the place where lines are missing."""


class LineWriter:
    """Writes lines to a file descriptor that stays the caller's."""

    def __init__(
        self,
        descriptor: int,
        describe_dropped: Callable[[int], str],
        *,
        max_lines: int = MAX_LINES,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        """`describe_dropped`: makes the line that says how many were dropped."""
        self._descriptor = descriptor
        self._describe_dropped = describe_dropped
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        # Both can be used by a signal's handler in the middle of a `write`: neither makes its own thread wait.
        self._queue: SimpleQueue[object] = SimpleQueue()
        self._lock = threading.RLock()
        self._lines = self._bytes = 0
        self._dropped = self._untold = 0
        self._gap = False
        self._torn = self._failing = False
        threading.Thread(target=self._run, name="log writer", daemon=True).start()

    @property
    def dropped(self) -> int:
        """How many lines were not written, all in all."""
        return self._dropped

    def write(self, text: str) -> None:
        """Have a line written, or several; they end in a newline. Never waits and never raises."""
        data = text.encode("utf-8", "backslashreplace")
        with self._lock:
            if self._lines >= self._max_lines or self._bytes + len(data) > self._max_bytes:
                self._count_dropped(_lines_in(data))
                self._gap = True
                return
            self._lines += 1
            self._bytes += len(data)
            if self._gap:
                self._gap = False
                self._queue.put(_NOTICE)
            self._queue.put(data)

    def flush(self, seconds: float) -> bool:
        """Wait until what has been given is written, at most for so long. Returns whether it is."""
        reached = threading.Event()
        self._queue.put(reached)
        return reached.wait(seconds)

    def _run(self) -> None:
        while True:
            # Whatever goes wrong here must not be the end of all logging.
            with contextlib.suppress(Exception):
                self._turn()

    def _turn(self) -> None:
        """Write what is in the queue, up to a batch or a mark."""
        lines, size, mark = self._take()
        was_failing = self._failing
        try:
            if lines:
                self._count_dropped(self._put_out(b"".join(lines)))
        finally:
            with self._lock:
                self._lines -= len(lines)
                self._bytes -= size
        is_back = was_failing and not self._failing
        if self._untold and (is_back or (mark and not self._failing)):
            self._tell()
        if isinstance(mark, threading.Event):
            mark.set()

    def _take(self) -> tuple[list[bytes], int, object]:
        """Lines, their bytes, and what came behind them: a mark (of the queue's end, too), or None for more lines."""
        lines: list[bytes] = []
        size = 0
        item = self._queue.get()
        while isinstance(item, bytes):
            lines.append(item)
            size += len(item)
            if size >= _BATCH_BYTES:
                return lines, size, None
            try:
                item = self._queue.get_nowait()
            except Empty:
                item = _NOTICE
        return lines, size, item

    def _tell(self) -> None:
        """Say how many are missing here."""
        with self._lock:
            untold, self._untold = self._untold, 0
        if self._put_out(self._describe_dropped(untold).encode("utf-8", "backslashreplace")):
            with self._lock:
                self._untold += untold

    def _count_dropped(self, lines: int) -> None:
        with self._lock:
            self._dropped += lines
            self._untold += lines

    def _put_out(self, data: bytes) -> int:
        """Returns how many lines of it could not be written."""
        whole = memoryview(_NEWLINE + data if self._torn else data)
        done = 0
        try:
            while done < len(whole):
                done += self._write_some(whole[done:])
        except OSError:
            if done:
                self._torn = whole[done - 1] != _NEWLINE[0]
            self._failing = True
            return _lines_in(bytes(whole[max(done, len(whole) - len(data)) :]))
        self._torn = self._failing = False
        return 0

    def _write_some(self, data: memoryview) -> int:
        while True:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:  # somebody made it non-blocking, as whoever shares it with us may
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll(_LOOK_AGAIN_MILLISECONDS)


def _lines_in(data: bytes) -> int:
    return max(data.count(_NEWLINE), 1)
