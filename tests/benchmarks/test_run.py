"""A run's measurements on a machine that is not always quiet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from benchmarks.measure import Measurement
from benchmarks.run import least_disturbed
from tests.benchmarks.samples import MEASUREMENT


@pytest.mark.parametrize(
    ("foreign", "kept", "left"),
    [
        ([0.1, 0.0], 0.1, [0.0]),
        ([0.9, 0.1, 0.0], 0.1, [0.0]),
        ([0.9, 0.7, 0.8, 0.0], 0.7, [0.0]),
    ],
    ids=["quiet", "quiet at the second", "never quiet"],
)
async def test_least_disturbed_measures_again_until_it_is_quiet_but_not_for_ever(
    foreign: Sequence[float], kept: float, left: Sequence[float]
) -> None:
    script = iter(foreign)

    measurement = await least_disturbed(lambda: _next(script), repeats=2)

    assert measurement.foreign_cpus == kept
    assert list(script) == left


async def _next(script: Iterator[float]) -> Measurement:
    return replace(MEASUREMENT, foreign_cpus=next(script))
