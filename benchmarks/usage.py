"""What processes use, from the operating system's accounting."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

_QUIET_CPU = 0.05
"""The part of a CPU below which a process counts as done with what came before."""
_QUIET_INTERVAL = 0.2
_QUIET_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a process and its children: CPU time (user and system) since their start, and resident memory."""

    cpu_seconds: float
    resident_bytes: int
    peak_resident_bytes: int


def usage(pid: int) -> Usage:
    """What a process tree has used up to now. The CPU time of children that ended counts once they were waited for."""
    cpu, resident, peak = 0.0, 0, 0
    for process in _tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess), process.oneshot():
            times = process.cpu_times()
            cpu += _cpu_seconds(process.pid) + times.children_user + times.children_system
            resident += process.memory_info().rss
            peak += _peak_resident_bytes(process.pid)
    return Usage(cpu, resident, peak)


async def settle(pid: int) -> None:
    """Wait until a process tree has done what it was left to do."""
    deadline = time.monotonic() + _QUIET_TIMEOUT
    before, used = usage(pid).cpu_seconds, 1.0
    while used > _QUIET_CPU * _QUIET_INTERVAL and time.monotonic() < deadline:
        await asyncio.sleep(_QUIET_INTERVAL)
        after = usage(pid).cpu_seconds
        before, used = after, after - before


def busy_seconds() -> float:
    """CPU time that all processes of the machine have used since it started."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def pin(pid: int, cpus: frozenset[int]) -> None:
    """Let all threads of a process tree run on these CPUs only; threads to come inherit it."""
    for process in _tree(pid):
        for thread in process.threads():
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(thread.id, cpus)


def _tree(pid: int) -> Iterator[psutil.Process]:
    process = psutil.Process(pid)
    yield process
    yield from process.children(recursive=True)


def _cpu_seconds(pid: int) -> float:
    """Of all threads, those that ended too, to the nanosecond; /proc has hundredths of a second.

    The clock's number is what clock_getcpuclockid(3) makes of a process id, which Python does not offer.
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        raise psutil.NoSuchProcess(pid) from None


def _peak_resident_bytes(pid: int) -> int:
    """proc(5), VmHWM."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
