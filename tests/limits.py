"""Bounds that no test can get past: time, and the memory of the process that runs it.

pytest-timeout raises in the test what hypothesis takes for one more failing example, and goes on from. So a test that
is out of time first meets `OutOfTime`, which is no Exception. Where that does not end it, since a callback swallowed it
or C code never looks, the process shows what its threads do and ends. pytest-xdist then reports the test as failed and
starts another worker.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import threading
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import Protocol

import pytest

_POLL_SECONDS = 0.2
_OUT_OF_MEMORY = 70
"""The exit code."""


class OutOfTime(BaseException):
    """A test took longer than it may."""


class _Settings(Protocol):
    """pytest-timeout's, of a test."""

    timeout: float


class Limits:
    """The plugin: timers for each test, and a thread that watches the memory."""

    def __init__(self, grace_seconds: float, memory_bytes: int, stderr: int) -> None:
        """`grace_seconds`: from `OutOfTime` to the end of the process. `stderr`: the real one, for last words."""
        self._grace_seconds = grace_seconds
        self._memory_bytes = memory_bytes
        self._stderr = stderr
        self._test = "no test"
        self._seconds = 0.0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch_memory, name="memory-limit", daemon=True)
        self._thread.start()

    @pytest.hookimpl(tryfirst=True)
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: _Settings) -> bool:
        """In place of pytest-timeout's own; called before the first fixture."""
        self._test = item.nodeid
        self._seconds = settings.timeout
        self._arm()
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_timeout_cancel_timer(self) -> bool:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        return True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None]:
        """A test that failed is without timers (pytest, for debuggers), and its fixtures could hang."""
        if self._seconds:
            self._arm()
        return (yield)

    def pytest_runtest_logfinish(self) -> None:
        self._seconds = 0.0

    def pytest_unconfigure(self) -> None:
        self._ending.set()
        self._thread.join()
        os.close(self._stderr)

    def _arm(self) -> None:
        signal.signal(signal.SIGALRM, self._raise)
        signal.setitimer(signal.ITIMER_REAL, self._seconds)
        # A thread of C, which needs none of Python's locks.
        faulthandler.dump_traceback_later(self._seconds + self._grace_seconds, exit=True, file=self._stderr)

    def _raise(self, _: int, __: FrameType | None) -> None:
        raise OutOfTime(f"{self._test} took longer than {self._seconds:g} s")

    def _watch_memory(self) -> None:
        while not self._ending.wait(_POLL_SECONDS):
            if (resident := _resident_bytes()) > self._memory_bytes:
                text = f"\n{self._test}: uses {resident >> 20} MiB; {self._memory_bytes >> 20} are allowed\n"
                with contextlib.suppress(OSError):
                    os.write(self._stderr, text.encode())
                faulthandler.dump_traceback(self._stderr)
                os._exit(_OUT_OF_MEMORY)


def _resident_bytes() -> int:
    """Of this process alone: mongod, Go and Node take what they like. 0 where there is no proc(5)."""
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("timeout_grace", "seconds from a test's time limit to the end of its process", default="30")
    parser.addini("memory_limit", "MiB that the process of a test may take", default="3072")


def pytest_configure(config: pytest.Config) -> None:
    grace, memory = float(config.getini("timeout_grace")), int(config.getini("memory_limit")) << 20
    config.pluginmanager.register(Limits(grace, memory, os.dup(2)), "limits")
