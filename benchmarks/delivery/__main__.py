"""`python -m benchmarks.delivery`: measure, and write docs/delivery-performance.md."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.delivery import report
from benchmarks.delivery.plan import DeliveryPlan
from benchmarks.delivery.run import run
from benchmarks.errors import BenchmarkError
from benchmarks.targets import targets
from sidecar.embedded import EmbeddedMongodError

_PARTS = ("steady", "outages", "traffic", "footprints")


def main() -> int:
    arguments = _arguments()
    try:
        done = asyncio.run(run(_plan(arguments), targets()["native"]))
    except (BenchmarkError, EmbeddedMongodError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    page = report.page(done, shlex.join(("python", "-m", "benchmarks.delivery", *sys.argv[1:])))
    if arguments.output:
        (arguments.output / "delivery-performance.md").write_text(page)
    else:
        print(page)
    return 1 if done.failures else 0


def _plan(arguments: argparse.Namespace) -> DeliveryPlan:
    left_out: Mapping[str, Any] = {part: () for part in _PARTS if part not in (arguments.only or _PARTS)}
    return replace(DeliveryPlan(), rounds=arguments.rounds, **left_out)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.delivery", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=_PARTS, help="these measurements only")
    parser.add_argument("--rounds", type=int, default=DeliveryPlan().rounds, help="how often each is made")
    parser.add_argument("--output", type=Path, help="folder for delivery-performance.md (default: print it)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
