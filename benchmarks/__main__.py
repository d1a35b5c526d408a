"""`python -m benchmarks`: measure, and write docs/performance.md."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.run import Run, run
from benchmarks.scenarios import FULL, QUICK, Plan
from benchmarks.targets import targets
from sidecar.embedded import EmbeddedMongodError


def main() -> int:
    arguments = _arguments()
    try:
        done = asyncio.run(run(_plan(arguments), targets()))
    except (BenchmarkError, EmbeddedMongodError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    if arguments.output:
        _write(done, arguments.output)
    return 1 if done.failures else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute's worth of scenarios, one round")
    parser.add_argument("--only", default="", help="scenarios whose title contains this, as 'traces, grpc, 500 a'")
    parser.add_argument("--subjects", nargs="+", help="these only, as: native rotel")
    parser.add_argument("--rounds", type=int, help="how often each is measured; better an odd number")
    parser.add_argument("--output", type=Path, help="folder for performance.md and performance.png (default: none)")
    return parser.parse_args()


def _plan(arguments: argparse.Namespace) -> Plan:
    plan = QUICK if arguments.quick else FULL
    scenarios = [
        replace(scenario, subjects=tuple(name for name in scenario.subjects if name in (arguments.subjects or [name])))
        for scenario in plan.scenarios
        if arguments.only in scenario.title
    ]
    return replace(plan, scenarios=scenarios, rounds=arguments.rounds or plan.rounds)


def _write(done: Run, folder: Path) -> None:
    from benchmarks import plot, report  # matplotlib takes its time, and a run without output does without it

    command = shlex.join(("python", "-m", "benchmarks", *sys.argv[1:]))
    (folder / "performance.md").write_text(report.page(done, command))
    plot.save(done, folder / "performance.png")
    print(f"wrote {folder / 'performance.md'}")


if __name__ == "__main__":
    sys.exit(main())
