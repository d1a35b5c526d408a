"""`otlp-mongo serve`: run until told to stop."""

from __future__ import annotations

import asyncio
import sys
import threading
from functools import partial

import structlog
import uvloop

from sidecar import logs
from sidecar.application import Sidecar
from sidecar.process import settle_garbage_collector
from sidecar.settings import LoadedSettings, load
from sidecar.settings.rules import warnings as setting_warnings
from sidecar.signals import Signals

_log = structlog.get_logger(__name__)
_LAST_WORDS_SECONDS = 0.5
_CLEANUP_SECONDS = 1.0


def run(signals: Signals, *, embedded: bool) -> None:
    """Run a sidecar in this process; exit with 1 when it could not stop cleanly.

    Raises:
        UserError: it cannot start, and why.
    """
    loaded = load()
    settings = loaded.settings
    log = logs.configure(settings.log_level, settings.log_format)
    log.take_over_stderr()
    signals.flush = partial(log.flush, _LAST_WORDS_SECONDS)
    for warning in _warnings(loaded, embedded=embedded):
        _log.warning(warning)
    sidecar = Sidecar(settings, embedded=embedded, collectors=(log,), read_settings=lambda: load().settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stopped_cleanly = runner.run(_serve(sidecar, signals, talkative=logs.is_console(settings.log_format)))
        _end_soon(signals, code := 0 if stopped_cleanly else 1)
    sys.exit(code)


def _end_soon(signals: Signals, code: int) -> None:
    """See to it that the process ends, whatever is left: a thread may still look up a name, all parts have stopped."""
    timer = threading.Timer(_CLEANUP_SECONDS, signals.exit, (code,))
    timer.daemon = True
    timer.start()


def _warnings(loaded: LoadedSettings, *, embedded: bool) -> list[str]:
    warnings = [*loaded.warnings, *setting_warnings(loaded.settings)]
    if embedded and loaded.settings.mongodb_uri is not None:
        warnings.append("MONGODB_URI is set but not used: --embedded stores in a mongod of its own")
    return warnings


class _Listener:
    """What signals bring about."""

    def __init__(self, sidecar: Sidecar) -> None:
        self.asked_to_stop = asyncio.Event()
        self._sidecar = sidecar

    def stop(self, name: str) -> None:
        _log.info("told to stop", signal=name)
        self.asked_to_stop.set()

    def reload(self) -> None:
        self._sidecar.reload()

    def ignored(self, name: str) -> None:
        _log.info("a signal that does nothing", signal=name)

    def forced(self, name: str) -> None:
        _log.error("a second signal: ending at once", signal=name)


async def _serve(sidecar: Sidecar, signals: Signals, *, talkative: bool) -> bool:
    """Start, wait for a signal, stop. Returns whether it stopped cleanly."""
    listener = _Listener(sidecar)
    signals.attach(asyncio.get_running_loop(), listener)
    try:
        if not await _started(sidecar, listener.asked_to_stop):
            return True
        settle_garbage_collector()
        if talkative:
            sys.stderr.write(_what_next(sidecar))
        await listener.asked_to_stop.wait()
        clean = await sidecar.stop()
        _log.info("stopped")
        return clean
    finally:
        signals.end()


async def _started(sidecar: Sidecar, asked_to_stop: asyncio.Event) -> bool:
    """Start; False when a signal came first, and all that had started is stopped again."""
    starting = asyncio.create_task(sidecar.start())
    stopping = asyncio.create_task(asked_to_stop.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not starting.done():
        starting.cancel()
        await asyncio.wait((starting,))
    if starting.cancelled():
        return False
    starting.result()
    return True


def _what_next(sidecar: Sidecar) -> str:
    """For people who see the sidecar for the first time."""
    facts = sidecar.facts()
    lines = ["", "Try next:"]
    lines.append("  otlp-mongo demo                      send a small shop's telemetry, see what is stored")
    if "grpc" in facts:
        lines.append(f"  export OTEL_EXPORTER_OTLP_ENDPOINT=http://{facts['grpc']}")
    elif "http" in facts:
        lines.append(
            f"  export OTEL_EXPORTER_OTLP_ENDPOINT=http://{facts['http']} OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
        )
    lines.append(
        f"  mongosh '{facts['local']}' --eval 'db.getSiblingDB(\"{facts['local database']}\").spans.findOne()'"
    )
    return "\n".join(lines) + "\n\n"
