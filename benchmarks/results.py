"""Medians over rounds, and the ratios between subjects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import median

from benchmarks.measure import Measurement
from benchmarks.scenarios import Scenario

Figures = Mapping[str, Measurement]
"""The measurement of each subject in one scenario."""


def medians(measurements: Iterable[Measurement]) -> Mapping[Scenario, Figures]:
    """The rounds of each scenario and subject as one measurement whose every figure is the median, in order."""
    groups: dict[Scenario, dict[str, list[Measurement]]] = {}
    for measurement in measurements:
        groups.setdefault(measurement.scenario, {}).setdefault(measurement.subject, []).append(measurement)
    return {
        scenario: {subject: _median(rounds) for subject, rounds in subjects.items()}
        for scenario, subjects in groups.items()
    }


def _median(rounds: Sequence[Measurement]) -> Measurement:
    figures = {}
    for field in fields(Measurement):
        values = [getattr(measurement, field.name) for measurement in rounds]
        numeric = isinstance(values[0], (int, float))
        figures[field.name] = median(values) if numeric else values[0]
    return Measurement(**figures)


@dataclass(frozen=True, slots=True)
class Ratio:
    """One subject's figure over another's."""

    title: str
    goal: str
    over: str
    under: str
    figure: Callable[[Measurement], float]

    def of(self, figures: Figures) -> float | None:
        """None when one of the two was not measured."""
        if self.over not in figures or self.under not in figures:
            return None
        return self.figure(figures[self.over]) / self.figure(figures[self.under])


def _cpu(measurement: Measurement) -> float:
    return measurement.cpu_micros_per_record


def _rate(measurement: Measurement) -> float:
    return measurement.records_per_second


RATIOS: Sequence[Ratio] = (
    Ratio("CPU: native ÷ Rotel", "≤ 1", "native", "rotel", _cpu),
    Ratio("CPU: native ÷ Collector", "", "native", "collector", _cpu),
    Ratio("CPU: reference ÷ Rotel", "", "reference", "rotel", _cpu),
    Ratio("CPU: native ÷ insert-only client", "", "native", "insert-only", _cpu),
    Ratio("records/s: native ÷ insert-only client", "≥ 0.9", "native", "insert-only", _rate),
    Ratio("records/s: reference ÷ insert-only client", "", "reference", "insert-only", _rate),
)
