"""Instructions that the native transcoder takes per record: `python -m benchmarks.instructions` (needs valgrind).

Callgrind counts the same for the same program and input, however busy the machine is, so that a regression of a few
per cent shows, and fails. A program is counted whole (counted.py), once with few requests and once with many more: the
difference is what these take once all is warm, without the interpreter's start, and whatever functions are called.

What is compared with is in `instructions.json`, per compiler, Python and machine: another one's counts are shown only.
`--save` makes today's counts the ones to compare with.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.counted import STEPS, Work
from benchmarks.errors import BenchmarkError
from benchmarks.payloads import templates
from exporter import SIGNALS

_BASELINE = Path(__file__).with_name("instructions.json")
_ALLOWED = 1.05
"""Times the instructions of the baseline."""
_RECORDS = 500
_FEW, _MANY = 2, 10
"""Requests. The first fills what is kept for those to come; the second shows that it is there."""
_COLLECTED = re.compile(r"Collected : (\d+)")
_CALLGRIND = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")


def callgrind(work: Work) -> int:
    """Instructions of a whole program that does this work.

    Raises:
        BenchmarkError: valgrind is not there, or the program failed.
    """
    # No two are the same, so that nothing is gained by knowing one by heart.
    requests = [templates(work.signal, work.records, seed=seed)[0].payload for seed in range(_MANY)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    command = [*_CALLGRIND, *work.argv]
    try:
        done = subprocess.run(command, input=pickle.dumps(requests), capture_output=True, env=environment, check=False)
    except FileNotFoundError:
        raise BenchmarkError("instructions are counted with valgrind, which is not there: install valgrind") from None
    output = done.stderr.decode(errors="replace")
    found = _COLLECTED.search(output)
    if done.returncode or not found:
        raise BenchmarkError(f"the program under valgrind failed: {output[-1000:]}")
    return int(found[1])


def per_record(
    execute: Callable[[Work], int],
    signals: Iterable[str] = tuple(SIGNALS),
    records: int = _RECORDS,
    steps: Sequence[str] = STEPS,
) -> Mapping[str, int]:
    """Instructions per record of each signal. `execute` gives those of a whole program, and is called in threads."""
    programs = [Work(signal, requests, records, steps) for signal in signals for requests in (_FEW, _MANY)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        totals = list(pool.map(execute, programs))
    compared = zip(programs[::2], totals[::2], totals[1::2], strict=True)
    return {work.signal: round((many - few) / (_MANY - _FEW) / records) for work, few, many in compared}


def machine() -> str:
    """What has to be the same for counts to be comparable."""
    compiler = subprocess.run(["cc", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    return f"{compiler}, Python {platform.python_version()}, {platform.machine()}"


def regressions(counts: Mapping[str, int], baseline: Mapping[str, int]) -> Sequence[str]:
    """A line for each signal that takes more instructions than it may."""
    return [
        f"{name}: {count} instructions a record, {count / baseline[name] - 1:.1%} more than the {baseline[name]} before"
        for name, count in counts.items()
        if count > _ALLOWED * baseline[name]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", action="store_true", help="compare with these counts from now on")
    arguments = parser.parse_args()
    started = time.monotonic()
    try:
        counts = per_record(callgrind)
    except BenchmarkError as error:
        sys.exit(f"benchmarks.instructions: {error}")
    here = machine()
    known: dict[str, dict[str, int]] = json.loads(_BASELINE.read_text())
    print(f"instructions per record, inspected and transcoded ({here}, {time.monotonic() - started:.0f} s)")
    for name, instructions in counts.items():
        print(f"  {name}: {instructions}" + (f" (before: {known[here][name]})" if here in known else ""))
    if arguments.save:
        _BASELINE.write_text(json.dumps({**known, here: counts}, indent=2) + "\n")
    elif here not in known:
        print("nothing to compare with for this compiler, Python and machine: --save makes it so")
    elif worse := regressions(counts, known[here]):
        sys.exit("\n".join(worse))


if __name__ == "__main__":
    main()
