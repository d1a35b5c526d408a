"""A run as a page (docs/delivery-performance.md)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from benchmarks.delivery.measure import Footprint, Gap, Replay
from benchmarks.delivery.plan import RATIOS, SITUATIONS
from benchmarks.delivery.run import DeliveryRun
from benchmarks.machine import description
from benchmarks.report import ratio_table, section, show, table


def page(done: DeliveryRun, command: str) -> str:
    """Markdown."""
    parts = (
        "# Delivery performance",
        f"Written by `make bench-delivery`, this time as `{command}`: do not edit.",
        _introduction(done),
        *(f"**Failed**: {failure}" for failure in done.failures),
        "## A cloud destination, and outages that last",
        "\n".join(f"- `{name}`: {situation.label}" for name, situation in SITUATIONS.items()),
        ratio_table(done.steady, RATIOS),
        *(section(scenario, figures) for scenario, figures in done.steady.items()),
        "## The moment of an outage",
        "The longest time without any acknowledgement, and the slowest request, of 16 senders with 500 spans a request "
        "that each wait for their answer; the destination goes down one second into the window and stays down.",
        _gaps(done.gaps),
        "## Replay",
        "A backlog for the cloud of 3,000,000 spans in batches of 500, from a sidecar's start with both MongoDBs up. "
        "Live traffic, 500 spans a request, goes to both.",
        _replays(done.replays),
        "## A backlog's footprint",
        "A sidecar that starts with a backlog for a cloud that is down, then takes live traffic.",
        _footprints(done.footprints),
    )
    return "\n\n".join(parts) + "\n"


def _introduction(done: DeliveryRun) -> str:
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, on {description()}.\n\n"
        f"Medians over rounds ({done.plan.rounds}), each situation in turn in each round, {done.plan.seconds:g} s "
        "measured unless said otherwise. The sidecar has one CPU to itself; two mongod processes (each a replica set "
        "of one node) and the load generator share the others, so that records/s of what is stored twice is bounded "
        "by them: CPU time tells what the sidecar takes. After each measurement what was down is started again, and "
        "once the backlog is drained every MongoDB must have exactly what was acknowledged."
    )


def _gaps(gaps: Sequence[Gap]) -> str:
    header = ["", "longest gap, ms", "slowest request, ms", "told to come again", "records/s, whole window"]
    rows = [
        [
            gap.outage.title,
            show(gap.longest_gap_ms, ",.0f"),
            show(gap.slowest_ms, ",.0f"),
            show(gap.refused, ",.0f"),
            show(gap.records_per_second, ",.0f"),
        ]
        for gap in gaps
    ]
    return table([header, *rows])


def _replays(replays: Sequence[Replay]) -> str:
    header = [
        "live traffic",
        "replayed records/s",
        "CPU µs/replayed record",
        "live records/s",
        "live median ms",
        "live p99 ms",
        "CPUs",
    ]
    rows = [
        [
            replay.traffic.title,
            show(replay.replayed_per_second, ",.0f"),
            show(replay.cpu_micros_per_replayed, ".2f"),
            show(replay.live_per_second, ",.0f"),
            show(replay.live_median_ms, ".1f"),
            show(replay.live_percentile99_ms, ".1f"),
            show(replay.cpus, ".2f"),
        ]
        for replay in replays
    ]
    return table([header, *rows])


def _footprints(footprints: Sequence[Footprint]) -> str:
    header = ["spans", "start to ready, s", "idle, MiB", "after load, MiB", "disk, MiB"]
    rows = [
        [
            f"{footprint.spans:,.0f}",
            show(footprint.start_seconds, ".2f"),
            show(footprint.idle_mib, ".0f"),
            show(footprint.load_mib, ".0f"),
            show(footprint.disk_mib, ",.1f"),
        ]
        for footprint in footprints
    ]
    return table([header, *rows])
