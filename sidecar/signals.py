"""What signals do to `serve`, from its first moment to its last.

| signal | what it does |
| --- | --- |
| SIGTERM, SIGINT, SIGQUIT, SIGXCPU | a graceful stop; the second of them ends the process at once |
| the same, before there is anything to stop | the end, with exit code 0 |
| SIGHUP | secrets are read again; when the terminal that we run in is gone: a graceful stop |
| SIGUSR1, SIGUSR2 | a line in the log |
| SIGALRM, the real-time signals and others that nobody here uses | nothing |

A signal that has no handler ends a process, or does nothing at all to process 1 of a container: so the handlers are the
first thing that is set up, and stay until the process is gone. They are handlers rather than `SIG_IGN`, which a child
process would inherit.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any, Protocol, Self

_STOP = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGXCPU")
_USER = ("SIGUSR1", "SIGUSR2")
_UNUSED = ("SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGPWR", "SIGSTKFLT")
_STDERR = 2
_FORCED = 1
"""The exit code of a stop that was not graceful."""


class Loop(Protocol):
    """The part of an event loop that a handler needs."""

    def call_soon_threadsafe(self, callback: Callable[..., object], *arguments: Any) -> object: ...


class Listener(Protocol):
    """Who is told."""

    def stop(self, name: str) -> None:
        """Stop gracefully, because of this signal. On the event loop."""

    def reload(self) -> None:
        """Read again what may have changed. On the event loop."""

    def ignored(self, name: str) -> None:
        """A signal came that does nothing. On the event loop."""

    def forced(self, name: str) -> None:
        """The process ends now. In the handler, between any two steps of the main thread: must not block."""


class Signals:
    """Handles the signals of this process. It takes the main thread to install them."""

    def __init__(self) -> None:
        self.flush: Callable[[], object] = lambda: None
        """Called before the process ends at once, for the last lines of the log. May take a moment, not more."""
        self._target: tuple[Loop, Listener] | None = None
        self._asked = self._ended = False
        self._had_terminal = _has_terminal()

    @classmethod
    def installed(cls) -> Self:
        """Made, and handling signals."""
        signals = cls()
        handlers = dict.fromkeys(_STOP, signals._on_stop) | dict.fromkeys(_USER, signals._on_user)
        for number in (*_numbers(_UNUSED), *range(signal.SIGRTMIN, signal.SIGRTMAX + 1)):
            signal.signal(number, signals._on_unused)
        for name, handler in (handlers | {"SIGHUP": signals._on_hangup}).items():
            for number in _numbers((name,)):
                signal.signal(number, handler)
        return signals

    def attach(self, loop: Loop, listener: Listener) -> None:
        """From now on there is something to stop, and the listener is told."""
        self._target = (loop, listener)

    def end(self) -> None:
        """From now on all has stopped, and what comes does nothing."""
        self._ended = True

    def exit(self, code: int) -> None:
        """End the process at once, with the last lines of the log."""
        with contextlib.suppress(Exception):
            self.flush()
        os._exit(code)

    def _on_stop(self, number: int, _frame: FrameType | None = None) -> None:
        if self._ended:
            return
        if self._target is None:
            self.exit(0)
            return
        loop, listener = self._target
        name = signal.Signals(number).name
        if self._asked:
            with contextlib.suppress(Exception):
                listener.forced(name)
            # Nothing is lost that was acknowledged, and the embedded mongod ends with us.
            self.exit(_FORCED)
        self._asked = True
        loop.call_soon_threadsafe(listener.stop, name)

    def _on_hangup(self, number: int, _frame: FrameType | None) -> None:
        if self._had_terminal and not _has_terminal():
            self._on_stop(number)
        elif self._target and not self._ended:
            loop, listener = self._target
            loop.call_soon_threadsafe(listener.reload)

    def _on_user(self, number: int, _frame: FrameType | None) -> None:
        if self._target and not self._ended:
            loop, listener = self._target
            loop.call_soon_threadsafe(listener.ignored, signal.Signals(number).name)

    def _on_unused(self, _number: int, _frame: FrameType | None) -> None:
        """Better than what the system does by default."""


def _numbers(names: Iterable[str]) -> Iterator[int]:
    """Those of the signals that this system has."""
    for name in names:
        if (number := getattr(signal, name, None)) is not None:
            yield number


def _has_terminal() -> bool:
    """Whether a person started us in the foreground of a terminal, which is still there."""
    try:
        return os.isatty(_STDERR)
    except OSError:
        return False
