"""Driving a load: a process that says on stdout when its measured window opens and closes, and then what came of it."""

from __future__ import annotations

import asyncio
import json
from asyncio import StreamReader
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from benchmarks.errors import BenchmarkError
from benchmarks.processes import Command
from benchmarks.usage import Usage, busy_seconds, usage

GENERATOR = Path(__file__).parent.parent / ".cache" / "benchmarks" / "loadgen"
_SLACK = 60.0
"""Seconds that a load may take longer than its plan says."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the senders saw (loadgen/crew.go)."""

    seconds: float
    records: int
    requests: int
    acknowledged_records: int
    unclear_records: int
    partial_successes: int
    errors: Mapping[str, int]
    longest_gap_seconds: float
    median_seconds: float
    percentile99_seconds: float
    slowest_seconds: float


@dataclass(frozen=True, slots=True)
class Observation:
    """An outcome, and what processes had used when the measured window opened and when it closed, by name."""

    outcome: Outcome
    before: Mapping[str, Usage]
    after: Mapping[str, Usage]
    machine_cpu_seconds: float
    """CPU time that the whole machine used in the window."""

    @property
    def foreign_cpus(self) -> float:
        """CPUs that processes used, on average, which have no part in the measurement: they disturb it."""
        foreign = self.machine_cpu_seconds - sum(map(self.cpu_seconds, self.after))
        return max(0.0, foreign / self.outcome.seconds)

    def cpu_seconds(self, name: str) -> float:
        """CPU time of a process in the window."""
        return self.after[name].cpu_seconds - self.before[name].cpu_seconds


async def drive(
    command: Command, plan: Mapping[str, Any], watched: Mapping[str, int], name: str = "load"
) -> Observation:
    """Run a load to its end. `watched`: process ids by name; the load itself is observed under `name`.

    Raises:
        BenchmarkError: the load failed, or records were lost on the way.
    """
    process = await asyncio.create_subprocess_exec(*command.argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=2**24)
    pids = {**watched, name: process.pid}
    try:
        async with asyncio.timeout(plan["warmUpSeconds"] + plan["seconds"] + _SLACK):
            return await _observe(process, plan, pids)
    except TimeoutError:
        raise BenchmarkError("the load did not end in time: does the target still answer?") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _observe(process: Process, plan: Mapping[str, Any], pids: Mapping[str, int]) -> Observation:
    assert process.stdin
    assert process.stdout
    assert process.stderr
    process.stdin.write(json.dumps(plan).encode() + b"\n")
    usages = []
    busy = []
    for expected in (b"begin\n", b"end\n"):
        if await process.stdout.readline() != expected:
            raise await _failure(process.stderr)
        usages.append({name: usage(pid) for name, pid in pids.items()})
        busy.append(busy_seconds())
    line = await process.stdout.readline()
    process.stdin.close()
    if await process.wait() != 0:
        raise await _failure(process.stderr)
    return Observation(_outcome(json.loads(line)), usages[0], usages[1], busy[1] - busy[0])


async def _failure(stderr: StreamReader) -> BenchmarkError:
    return BenchmarkError(f"the load failed: {(await stderr.read()).decode(errors='replace').strip()[-500:]}")


def _outcome(answer: Mapping[str, Any]) -> Outcome:
    def camel(name: str) -> str:
        head, *rest = name.split("_")
        return head + "".join(word.capitalize() for word in rest)

    return Outcome(**{field.name: answer[camel(field.name)] for field in fields(Outcome)})
