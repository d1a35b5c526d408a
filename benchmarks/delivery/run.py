"""A whole run: each measurement in turn in each round, so that what disturbs the machine hits all alike."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.delivery.measure import DeliveryBench, Footprint, Gap, Replay
from benchmarks.delivery.plan import DeliveryPlan
from benchmarks.delivery.servers import servers
from benchmarks.errors import BenchmarkError
from benchmarks.measure import Measurement
from benchmarks.results import Figures, median_of, medians
from benchmarks.scenarios import Scenario
from benchmarks.targets import Target

T = TypeVar("T", Measurement, Gap, Replay, Footprint)
_LOAD = Scenario("traces", 500, ())
"""What is sent where the load is not what is compared."""


@dataclass(frozen=True, slots=True)
class DeliveryRun:
    """What a run was to measure, and what came of it."""

    plan: DeliveryPlan
    steady: Mapping[Scenario, Figures]
    gaps: Sequence[Gap]
    replays: Sequence[Replay]
    footprints: Sequence[Footprint]
    failures: Sequence[str]
    """What went wrong with measurements, which are then not among the results."""


async def run(plan: DeliveryPlan, target: Target) -> DeliveryRun:
    """Measure as planned, on MongoDBs of its own. A measurement that fails does not stop the others.

    Raises:
        BenchmarkError: the sidecar cannot run.
    """
    if target.missing:
        raise BenchmarkError(target.missing)
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="otlp-mongo-benchmark-") as folder:
        async with servers(Path(folder)) as pair:
            bench = DeliveryBench(pair, target, plan.seconds, plan.warm_up_seconds)
            steady = [
                partial(bench.steady, scenario, situation)
                for scenario in plan.steady
                for situation in scenario.subjects
            ]
            gaps = [partial(bench.gap, _LOAD, outage) for outage in plan.outages]
            replays = [partial(bench.replay, _LOAD, traffic) for traffic in plan.traffic]
            footprints = [partial(bench.footprint, _LOAD, spans) for spans in plan.footprints]
            return DeliveryRun(
                plan,
                medians(await _rounds(steady, plan.rounds, failures)),
                _by_subject(await _rounds(gaps, plan.rounds, failures), lambda gap: gap.outage),
                _by_subject(await _rounds(replays, plan.rounds, failures), lambda replay: replay.traffic),
                _by_subject(await _rounds(footprints, plan.rounds, failures), lambda footprint: footprint.spans),
                failures,
            )


async def _rounds(
    measurements: Sequence[partial[Coroutine[Any, Any, T]]], rounds: int, failures: list[str]
) -> Sequence[T]:
    results = []
    for _ in range(rounds):
        for measure in measurements:
            try:
                results.append(await measure())
            except BenchmarkError as error:
                subject = ", ".join(str(getattr(argument, "title", argument)) for argument in measure.args)
                failures.append(f"{measure.func.__name__} ({subject}): {error}")
                print(failures[-1], flush=True)
            else:
                print(results[-1], flush=True)
    return results


def _by_subject(results: Iterable[T], subject: Callable[[T], object]) -> Sequence[T]:
    """The median of the rounds of each subject."""
    groups: dict[object, list[T]] = {}
    for result in results:
        groups.setdefault(subject(result), []).append(result)
    return [median_of(group) for group in groups.values()]
