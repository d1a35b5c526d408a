"""`python -m benchmarks`: measure, and write docs/performance.md."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.measure import Bench, Measurement
from benchmarks.results import medians
from benchmarks.scenarios import CEILING, FULL, QUICK, Plan, Scenario
from benchmarks.targets import Target, targets
from sidecar.embedded import EmbeddedMongod, EmbeddedMongodError, find_mongod

_CACHE_GIGABYTES = 2.0


def main() -> int:
    arguments = _arguments()
    plan = _chosen(QUICK if arguments.quick else FULL, arguments.only)
    known = targets()
    missing = {name: target.missing for name, target in known.items() if target.missing}
    try:
        measurements = asyncio.run(_run(plan, known, missing))
    except (BenchmarkError, EmbeddedMongodError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    if arguments.output:
        _write(measurements, plan, known, missing, arguments.output)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute's worth of scenarios, one round")
    parser.add_argument(
        "--only", default="", help="scenarios whose title contains this, for example 'traces, grpc, 500 '"
    )
    parser.add_argument("--output", type=Path, help="folder for performance.md and performance.png (default: none)")
    return parser.parse_args()


def _chosen(plan: Plan, part: str) -> Plan:
    return replace(plan, scenarios=[scenario for scenario in plan.scenarios if part in scenario.title])


async def _run(plan: Plan, known: Mapping[str, Target], missing: Mapping[str, str]) -> Sequence[Measurement]:
    """All scenarios, each subject in turn in each round."""
    with tempfile.TemporaryDirectory(prefix="otlp-mongo-benchmark-") as folder:
        mongod = EmbeddedMongod(Path(folder), find_mongod(), cache_gigabytes=_CACHE_GIGABYTES)
        await mongod.start()
        try:
            bench = Bench(mongod, known, plan.seconds, plan.warm_up_seconds)
            return [
                await _measure(bench, scenario, subject)
                for scenario in plan.scenarios
                for _ in range(plan.rounds)
                for subject in scenario.subjects
                if subject not in missing
            ]
        finally:
            await mongod.stop()


async def _measure(bench: Bench, scenario: Scenario, subject: str) -> Measurement:
    measurement = await bench.measure(scenario, subject)
    mongod = measurement.mongod_micros_per_record
    print(
        f"{scenario.title:45} {subject:12} {measurement.records_per_second:9,.0f} records/s "
        f"{measurement.cpu_micros_per_record:8.2f} µs CPU/record"
        + (f", mongod {mongod:.2f}" if mongod is not None else "")
        + f", {measurement.load_mib:.0f} MiB, p99 {measurement.percentile99_ms:.1f} ms",
        flush=True,
    )
    return measurement


def _write(
    measurements: Sequence[Measurement],
    plan: Plan,
    known: Mapping[str, Target],
    missing: Mapping[str, str],
    folder: Path,
) -> None:
    from benchmarks import plot, report  # matplotlib takes its time, and a run without output does without it

    labels = {name: target.label for name, target in known.items()} | {CEILING: "client that only inserts"}
    results = medians(measurements)
    command = "make bench-quick" if plan.rounds == QUICK.rounds else "make bench"
    (folder / "performance.md").write_text(report.page(results, plan, labels, missing, command))
    plot.save(results, labels, folder / "performance.png")
    print(f"wrote {folder / 'performance.md'}")


if __name__ == "__main__":
    sys.exit(main())
