"""What a program writes its log to: a pipe, whose reader may stop reading, or go."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CHUNK = 64 << 10
_POLL_SECONDS = 0.02


class LogPipe:
    """Copies to a file what a child writes, until the child has ended or the reader is to go."""

    def __init__(self, file: Path) -> None:
        """`file`: is appended to."""
        self._reader, self._writer = os.pipe()
        self._file = file
        self._may_read = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._copy, name="log-pipe", daemon=True)
        self._thread.start()

    @contextmanager
    def for_child(self) -> Iterator[int]:
        """The end that a child is to inherit."""
        try:
            yield self._writer
        finally:
            os.close(self._writer)

    @contextmanager
    def stalled(self, pid: int) -> Iterator[None]:
        """Nobody reads, and the pipe, which is this process' stderr, is full."""
        with self._may_read:
            # Opened anew, so that the child's own end stays as it is.
            writer = os.open(f"/proc/{pid}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
            try:
                for size in (4096, 1):
                    with contextlib.suppress(BlockingIOError):
                        while True:
                            os.write(writer, b"\n" * size)
            finally:
                os.close(writer)
            yield

    def close(self) -> None:
        """The reader goes: what is written from now on fails (EPIPE)."""
        self._closing.set()
        self._thread.join()

    def finish(self) -> None:
        """Return once all is copied that was written by a child that has ended, unless nobody reads."""
        self._thread.join(1.0)

    def _copy(self) -> None:
        with self._file.open("ab", buffering=0) as file:
            while not self._closing.wait(_POLL_SECONDS):
                with self._may_read:
                    while select.select([self._reader], [], [], 0)[0]:
                        if not (data := os.read(self._reader, _CHUNK)):
                            self._closing.set()
                            break
                        file.write(data)
        os.close(self._reader)
