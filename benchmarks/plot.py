"""The run as a picture."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.run import Run
from benchmarks.scenarios import Scenario

mpl.use("Agg")


def save(done: Run, path: Path) -> None:
    """CPU time per span over spans in a request, gRPC on one core, a line for each subject."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for subject, label in done.labels.items():
        points = [
            (scenario.records, figures[subject].cpu_micros_per_record)
            for scenario, figures in done.results.items()
            if _is_shown(scenario) and subject in figures
        ]
        if points:
            axes.plot(*zip(*sorted(points), strict=True), marker="o", label=label)
    axes.set(xscale="log", yscale="log", xlabel="spans in a request", ylabel="CPU µs per span (MongoDB's not included)")
    axes.grid(which="both", alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)


def _is_shown(scenario: Scenario) -> bool:
    return (scenario.signal, scenario.protocol, scenario.cores, scenario.per_second) == ("traces", "grpc", 1, 0)
