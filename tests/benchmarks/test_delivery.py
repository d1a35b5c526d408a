"""The delivery benchmark's tables, and its page."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.delivery.measure import Footprint, Gap, Replay
from benchmarks.delivery.plan import OUTAGES, RATIOS, SITUATIONS, TRAFFIC, DeliveryPlan
from benchmarks.delivery.report import page
from benchmarks.delivery.run import DeliveryRun
from benchmarks.results import median_of

GAP = Gap(OUTAGES[1], longest_gap_ms=1234.0, slowest_ms=2345.0, refused=0, records_per_second=50_000.0)


def test_median_of_gaps_is_the_middle_figure_of_each_kind_for_the_same_outage() -> None:
    rounds = [replace(GAP, longest_gap_ms=gap, slowest_ms=5000 - gap) for gap in (3.0, 1.0, 2.0)]

    result = median_of(rounds)

    assert result == replace(GAP, longest_gap_ms=2.0, slowest_ms=4998.0)


def test_ratios_of_delivery_name_situations_that_are_measured() -> None:
    named = {name for ratio in RATIOS for name in (ratio.over, ratio.under)}

    assert named <= SITUATIONS.keys()
    assert all(set(scenario.subjects) <= SITUATIONS.keys() for scenario in DeliveryPlan().steady)


def test_situations_only_destinations_that_are_configured_are_down() -> None:
    assert all(set(situation.down) <= set(situation.destinations) for situation in SITUATIONS.values())


def test_page_has_a_row_for_each_measurement_and_each_failure() -> None:
    replay = Replay(
        TRAFFIC[0],
        replayed_per_second=98_765.4,
        cpu_micros_per_replayed=4.5,
        live_per_second=None,
        live_median_ms=None,
        live_percentile99_ms=None,
        cpus=0.44,
    )
    footprint = Footprint(5_000_000, start_seconds=0.71, idle_mib=83.0, load_mib=120.0, disk_mib=345.6)
    done = DeliveryRun(DeliveryPlan(), {}, [GAP], [replay], [footprint], ["gap: it broke"])

    text = page(done, "python -m benchmarks.delivery")

    assert "| local: killed (SIGKILL) | 1,234 | 2,345 | 0 | 50,000 |" in text
    assert "| none | 98,765 | 4.50 | – | – | – | 0.44 |" in text
    assert "| 5,000,000 | 0.71 | 83 | 120 | 345.6 |" in text
    assert "**Failed**: gap: it broke" in text
