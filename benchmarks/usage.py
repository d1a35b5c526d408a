"""What processes use, from the operating system's accounting."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil


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
            cpu += times.user + times.system + times.children_user + times.children_system
            resident += process.memory_info().rss
            peak += _peak_resident_bytes(process.pid)
    return Usage(cpu, resident, peak)


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


def _peak_resident_bytes(pid: int) -> int:
    """proc(5), VmHWM."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
