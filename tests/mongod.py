"""A mongod for as long as a block takes, whatever loops come and go meanwhile."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sidecar.embedded import EmbeddedMongod

_FAIL_POINTS = ("--setParameter", "enableTestCommands=1")
"""Faults of a real MongoDB on demand."""


@contextmanager
def running(binary: Path, *arguments: str) -> Iterator[str]:
    """The URI of a mongod that allows fail points. `arguments`: more of its own.

    Raises:
        EmbeddedMongodError: it cannot run, and why.
    """
    folder = Path(tempfile.mkdtemp(prefix="otlp-mongo-test-"))
    mongod = EmbeddedMongod(folder, binary, cache_gigabytes=0.25, extra_arguments=(*_FAIL_POINTS, *arguments))
    try:
        with _loop_in_thread() as loop:
            asyncio.run_coroutine_threadsafe(mongod.start(), loop).result()
            try:
                yield mongod.uri
            finally:
                asyncio.run_coroutine_threadsafe(mongod.stop(), loop).result()
    finally:
        shutil.rmtree(folder)


@contextmanager
def _loop_in_thread() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop beside those of the tests, which last for one test each."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="embedded-mongod", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
