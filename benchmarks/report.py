"""The run as a page (docs/performance.md): ratios first, then all figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import median

from benchmarks.machine import description
from benchmarks.measure import Measurement
from benchmarks.results import RATIOS, Figures, Ratio
from benchmarks.run import DISTURBED, Run
from benchmarks.scenarios import Plan, Scenario

Results = Mapping[Scenario, Figures]

_FIGURES: Sequence[tuple[str, str, str]] = (
    ("records/s", "records_per_second", ",.0f"),
    ("CPU µs/record", "cpu_micros_per_record", ".2f"),
    ("Collector µs/record", "front_micros_per_record", ".2f"),
    ("mongod µs/record", "mongod_micros_per_record", ".2f"),
    ("load µs/record", "load_micros_per_record", ".2f"),
    ("median ms", "median_ms", ".1f"),
    ("p99 ms", "percentile99_ms", ".1f"),
    ("MiB", "load_mib", ".0f"),
    ("peak MiB", "peak_mib", ".0f"),
    ("foreign CPUs", "foreign_cpus", ".2f"),
)
_NONE = "–"
_VIA_COLLECTOR = (
    "`via-collector` is otlp-mongo behind a Collector that is configured as [collector.md](collector.md) recommends (a "
    "queue on disk with fsync, gzip), but for a queue so short that senders wait for otlp-mongo and not only for the "
    "disk. Both share the CPUs that the row names. CPU µs/record and the memory are otlp-mongo's alone, to be read "
    "beside `native`; the Collector's CPU time has a column of its own, and the sum is what the pair costs."
)


def page(done: Run, command: str) -> str:
    """Markdown."""
    parts = (
        "# Performance",
        f"Written by `make bench`, this time as `{command}`: do not edit.",
        _introduction(done.plan),
        *(f"Not measured: {reason}." for reason in done.missing),
        *(f"**Failed**: {failure}" for failure in done.failures),
        "## Ratios",
        ratio_table(done.results),
        "![CPU time per record by records in a request](performance.png)",
        "## Start and memory",
        _footprint_table(done.results),
        "## Figures",
        "\n".join(f"- `{subject}`: {label}" for subject, label in done.labels.items()),
        *(section(scenario, figures) for scenario, figures in done.results.items()),
    )
    return "\n\n".join(parts) + "\n"


def _introduction(plan: Plan) -> str:
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, on {description()}.\n\n"
        f"Medians over rounds ({_rounds(plan)}), each subject in turn in each round, {plan.seconds:g} s measured after "
        f"{plan.warm_up_seconds:g} s to warm up. Before the first, {plan.fill_seconds:g} s of load go unmeasured into "
        "the new MongoDB: until its oplog and cache are full, inserts cost it less than later. CPU time is the "
        "processes' own, as the operating system accounts for it, divided by the records acknowledged. Requests are "
        "all different, sent in a closed loop (but where a row says how many a second, as a quiet application might), "
        "and what was acknowledged is compared with what MongoDB has. The "
        "measured process has the CPUs that a row names to itself; MongoDB and the load generator have the others, or "
        "share all where there are no others. Foreign CPUs are those that processes outside the measurement used "
        f"meanwhile: a measurement with more than {DISTURBED:g} is repeated, {plan.repeats} times at most, and the "
        "least disturbed counts. `rotel` and `collector` receive and throw away; the insert-only client starts from "
        f"ready documents.\n\n{_VIA_COLLECTOR}"
    )


def _rounds(plan: Plan) -> str:
    more = [
        f"{plan.rounds + scenario.extra_rounds} for {scenario.title}"
        for scenario in plan.scenarios
        if scenario.extra_rounds
    ]
    return "; ".join((str(plan.rounds), *more))


def ratio_table(results: Results, ratios: Sequence[Ratio] = RATIOS) -> str:
    """A line for each scenario."""
    header = ["", *(f"{ratio.title}{f' (goal {ratio.goal})' if ratio.goal else ''}" for ratio in ratios)]
    rows = [
        [scenario.title, *(show(ratio.of(figures), ".2f") for ratio in ratios)] for scenario, figures in results.items()
    ]
    return table([header, *rows])


def _footprint_table(results: Results) -> str:
    subjects: dict[str, list[Measurement]] = {}
    for figures in results.values():
        for subject, measurement in figures.items():
            subjects.setdefault(subject, []).append(measurement)
    header = ["", "start to ready, s", "idle, MiB", "highest under load, MiB"]
    rows = (_footprint(subject, measurements) for subject, measurements in subjects.items())
    return table([header, *filter(None, rows)])


def _footprint(subject: str, measurements: Sequence[Measurement]) -> list[str]:
    """Medians over all scenarios, and the highest peak; empty for what is no service."""
    starts = [m.start_seconds for m in measurements if m.start_seconds is not None]
    idle = [m.idle_mib for m in measurements if m.idle_mib is not None]
    peaks = [m.peak_mib for m in measurements if m.peak_mib is not None]
    if not starts:
        return []
    return [f"`{subject}`", show(median(starts), ".2f"), show(median(idle), ".0f"), show(max(peaks), ".0f")]


def section(scenario: Scenario, figures: Figures) -> str:
    """All figures of a scenario under a heading of their own, without those that none of its subjects has."""
    shown = [
        (title, field, form)
        for title, field, form in _FIGURES
        if any(getattr(measurement, field) is not None for measurement in figures.values())
    ]
    rows = [
        [f"`{subject}`", *(show(getattr(measurement, field), form) for _, field, form in shown)]
        for subject, measurement in figures.items()
    ]
    return f"### {scenario.title}\n\n{table([['', *(title for title, _, _ in shown)], *rows])}"


def show(value: float | None, form: str) -> str:
    """A figure, or a dash where there is none."""
    return _NONE if value is None else format(value, form)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Markdown; the first row is the header."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    rule = "| --- |" + " ---: |" * (len(rows[0]) - 1)
    return "\n".join((lines[0], rule, *lines[1:]))
