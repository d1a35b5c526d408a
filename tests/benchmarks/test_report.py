"""The page that a run writes."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.measure import Measurement
from benchmarks.report import section
from benchmarks.scenarios import Scenario

SCENARIO = Scenario("traces", 500, ("native", "via-collector"))
NATIVE = Measurement(
    scenario=SCENARIO,
    subject="native",
    records_per_second=65_432.1,
    cpu_micros_per_record=2.0,
    mongod_micros_per_record=14.5,
    front_micros_per_record=None,
    load_micros_per_record=0.3,
    median_ms=10.0,
    percentile99_ms=20.0,
    start_seconds=0.5,
    idle_mib=80.0,
    load_mib=112.0,
    peak_mib=113.0,
    foreign_cpus=0.0,
)


def test_section_behind_a_collector_has_its_cpu_time_beside_ours() -> None:
    behind = replace(NATIVE, subject="via-collector", cpu_micros_per_record=4.0, front_micros_per_record=14.8)

    text = section(SCENARIO, {"native": NATIVE, "via-collector": behind})

    header, _, first, second = text.splitlines()[-4:]
    assert header.startswith("|  | records/s | CPU µs/record | Collector µs/record | mongod µs/record |")
    assert first == "| `native` | 65,432 | 2.00 | – | 14.50 | 0.30 | 10.0 | 20.0 | 112 | 113 | 0.00 |"
    assert second == "| `via-collector` | 65,432 | 4.00 | 14.80 | 14.50 | 0.30 | 10.0 | 20.0 | 112 | 113 | 0.00 |"


def test_section_no_collector_in_front_has_no_column_for_it() -> None:
    text = section(SCENARIO, {"native": NATIVE})

    assert "| CPU µs/record | mongod µs/record |" in text
