"""A whole run: all scenarios, each subject in turn in each round, so that what disturbs the machine hits all alike."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.measure import Bench, Measurement
from benchmarks.results import Figures, medians
from benchmarks.scenarios import CEILING, FILL, Plan, Scenario
from benchmarks.targets import Target
from sidecar.embedded import EmbeddedMongod, find_mongod

DISTURBED = 0.25
"""Foreign CPUs above which figures are not to be trusted: with one, a record takes up to a third more CPU time."""
_CACHE_GIGABYTES = 2.0


@dataclass(frozen=True, slots=True)
class Run:
    """What a run was to measure, and what came of it."""

    plan: Plan
    targets: Mapping[str, Target]
    results: Mapping[Scenario, Figures]
    failures: Sequence[str]
    """What went wrong with measurements, which are then not among the results."""

    @property
    def labels(self) -> Mapping[str, str]:
        """What the subjects are, by their names."""
        return {name: target.label for name, target in self.targets.items()} | {CEILING: "a client that only inserts"}

    @property
    def missing(self) -> Sequence[str]:
        """What could not be measured here, and why."""
        return [f"{target.label}: {target.missing}" for target in self.targets.values() if target.missing]


async def run(plan: Plan, targets: Mapping[str, Target]) -> Run:
    """Measure as planned, on a mongod of its own. A measurement that fails does not stop the others."""
    measurements: list[Measurement] = []
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="otlp-mongo-benchmark-") as folder:
        mongod = EmbeddedMongod(Path(folder), find_mongod(), cache_gigabytes=_CACHE_GIGABYTES)
        await mongod.start()
        try:
            await _fill(mongod, plan, targets)
            bench = Bench(mongod, targets, plan.seconds, plan.warm_up_seconds)
            for scenario, subject in _order(plan, targets):
                try:
                    measurement = await least_disturbed(partial(bench.measure, scenario, subject), plan.repeats)
                except BenchmarkError as error:
                    failures.append(f"{scenario.title}, {subject}: {error}")
                    print(failures[-1], flush=True)
                else:
                    measurements.append(measurement)
                    print(_line(measurement), flush=True)
        finally:
            await mongod.stop()
    return Run(plan, targets, medians(measurements), failures)


async def least_disturbed(measure: Callable[[], Awaitable[Measurement]], repeats: int) -> Measurement:
    """Measure, again while other processes disturb it and at most `repeats` times, and return the least disturbed."""
    made: list[Measurement] = []
    while len(made) <= repeats and all(measurement.foreign_cpus > DISTURBED for measurement in made):
        made.append(await measure())
    return min(made, key=lambda measurement: measurement.foreign_cpus)


async def _fill(mongod: EmbeddedMongod, plan: Plan, targets: Mapping[str, Target]) -> None:
    """Leave a new mongod as measurements leave it for those after them. Raises BenchmarkError."""
    subject = next(name for name, target in targets.items() if target.stores and not target.missing)
    await Bench(mongod, targets, plan.fill_seconds, 0.0).measure(FILL, subject)


def _order(plan: Plan, targets: Mapping[str, Target]) -> Sequence[tuple[Scenario, str]]:
    return [
        (scenario, subject)
        for scenario in plan.scenarios
        for _ in range(plan.rounds + scenario.extra_rounds)
        for subject in scenario.subjects
        if subject == CEILING or not targets[subject].missing
    ]


def _line(measurement: Measurement) -> str:
    mongod = measurement.mongod_micros_per_record
    front, memory = measurement.front_micros_per_record, measurement.load_mib
    return (
        f"{measurement.scenario.title:45} {measurement.subject:13} {measurement.records_per_second:9,.0f} records/s, "
        f"µs CPU/record: {measurement.cpu_micros_per_record:7.2f}"
        + (f", mongod {mongod:6.2f}" if mongod is not None else "")
        + (f", Collector {front:6.2f}" if front is not None else "")
        + (f", {memory:4.0f} MiB" if memory is not None else "")
        + f", p99 {measurement.percentile99_ms:.0f} ms, foreign CPUs {measurement.foreign_cpus:.2f}"
    )
