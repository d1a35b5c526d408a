"""The page that a run writes."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.report import section
from tests.benchmarks.samples import MEASUREMENT, SCENARIO


def test_section_behind_a_collector_has_its_cpu_time_beside_ours() -> None:
    behind = replace(MEASUREMENT, subject="via-collector", cpu_micros_per_record=6.0, front_micros_per_record=14.8)

    text = section(SCENARIO, {"native": MEASUREMENT, "via-collector": behind})

    header, _, first, second = text.splitlines()[-4:]
    assert header.startswith("|  | records/s | CPU µs/record | Collector µs/record | mongod µs/record |")
    assert first == "| `native` | 65,432 | 4.00 | – | 14.50 | 0.30 | 10.0 | 20.0 | 112 | 113 | 0.00 |"
    assert second == "| `via-collector` | 65,432 | 6.00 | 14.80 | 14.50 | 0.30 | 10.0 | 20.0 | 112 | 113 | 0.00 |"


def test_section_no_collector_in_front_has_no_column_for_it() -> None:
    text = section(SCENARIO, {"native": MEASUREMENT})

    assert "| CPU µs/record | mongod µs/record |" in text
