"""Medians over rounds, and the ratios between subjects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import median
from typing import TYPE_CHECKING, Any, TypeVar

from benchmarks.measure import Measurement
from benchmarks.scenarios import Scenario

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")
Figures = Mapping[str, Measurement]
"""The measurement of each subject in one scenario."""


def medians(measurements: Iterable[Measurement]) -> Mapping[Scenario, Figures]:
    """The rounds of each scenario and subject as one measurement whose every figure is the median, in order."""
    groups: dict[Scenario, dict[str, list[Measurement]]] = {}
    for measurement in measurements:
        groups.setdefault(measurement.scenario, {}).setdefault(measurement.subject, []).append(measurement)
    return {
        scenario: {subject: median_of(rounds) for subject, rounds in subjects.items()}
        for scenario, subjects in groups.items()
    }


def median_of(rounds: Sequence[T]) -> T:
    """One whose every number is the median of the rounds' and whose all else is the first's."""
    figures: dict[str, Any] = {}
    for field in fields(rounds[0]):
        values = [getattr(measurement, field.name) for measurement in rounds]
        numeric = isinstance(values[0], (int, float))
        figures[field.name] = median(values) if numeric else values[0]
    return type(rounds[0])(**figures)


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


def cpu(measurement: Measurement) -> float:
    """CPU time for a record."""
    return measurement.cpu_micros_per_record


def rate(measurement: Measurement) -> float:
    """Records a second."""
    return measurement.records_per_second


RATIOS: Sequence[Ratio] = (
    Ratio("CPU: native ÷ Rotel", "≤ 1", "native", "rotel", cpu),
    Ratio("CPU: native ÷ Collector", "", "native", "collector", cpu),
    Ratio("CPU: reference ÷ Rotel", "", "reference", "rotel", cpu),
    Ratio("CPU: native ÷ insert-only client", "", "native", "insert-only", cpu),
    Ratio("CPU: native via Collector ÷ native", "", "via-collector", "native", cpu),
    Ratio("records/s: native ÷ insert-only client", "≥ 0.9", "native", "insert-only", rate),
    Ratio("records/s: reference ÷ insert-only client", "", "reference", "insert-only", rate),
)
