"""`python -m tests.power_cut --minutes 5 --seed 7`: a long run; exit code 1 when anything is wrong."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import structlog

from tests.disk.library import compile_library
from tests.power_cut.cuts import Outcome, Plan, cut_power, cut_recovery, run_workload
from tests.power_cut.workloads import WORKLOADS

_FIRST = Plan(answers=20, moments=150)
_AGAIN = Plan(answers=2, moments=8, leftovers=0)


async def cut_for(seconds: float, seed: int, root: Path) -> Outcome:
    """Each workload in turn, with other seeds each time."""
    library, total, end = compile_library(root), Outcome(), time.monotonic() + seconds
    for number, name in enumerate(itertools.cycle(sorted(WORKLOADS.keys() - {"recovery"}))):
        if time.monotonic() >= end:
            break
        with tempfile.TemporaryDirectory(dir=root) as folder:
            random = Random(seed + number)
            first = await cut_power(run_workload(library, name, Path(folder)), random, _FIRST)
            again = await cut_recovery(library, first.leftovers, Path(folder) / "again", random, _AGAIN)
        for outcome in (first, again):
            outcome.problems = [f"{name}, seed {seed + number}: {line}" for line in outcome.problems]
            total.add(outcome)
    return total


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.power_cut")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory(prefix="otlp-mongo-power-") as folder:
        outcome = asyncio.run(cut_for(60 * arguments.minutes, arguments.seed, Path(folder)))
    print("\n".join(outcome.lines()))
    return bool(outcome.problems)


if __name__ == "__main__":
    sys.exit(main())
