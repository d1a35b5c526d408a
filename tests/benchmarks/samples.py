"""A measurement to vary."""

from __future__ import annotations

from benchmarks.measure import Measurement
from benchmarks.scenarios import Scenario

SCENARIO = Scenario("traces", 500, ("native", "rotel"))
MEASUREMENT = Measurement(
    scenario=SCENARIO,
    subject="native",
    records_per_second=65_432.1,
    cpu_micros_per_record=4.0,
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
