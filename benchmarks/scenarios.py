"""What is measured, as tables: adding a measurement is adding an entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.payloads import Encoding

CEILING = "insert-only"
"""The subject that is no receiver but a client inserting ready documents (inserter.py)."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One load, and who is to bear it."""

    signal: str
    records: int
    """Records in a request."""
    subjects: Sequence[str]
    protocol: str = "grpc"
    cores: int = 1
    """CPUs that the measured process may use; MongoDB and the load have the others, or all where there are none."""
    connections: int = 8
    extra_rounds: int = 0
    """Beyond the plan's, for what the goals are about: a round on a virtual machine may be off by a quarter."""
    per_second: int = 0
    """Requests, on all connections together; 0: each sender sends the next as soon as it has an answer."""
    in_flight: int = 2
    """Requests at once on each connection, at most. All that are in flight should be a small part of what a window
    takes: a stutter at its edge would otherwise count the CPU time of requests whose answers lie outside."""

    @property
    def writers(self) -> int:
        """Inserts at once of the insert-only client. More than a few large ones only make mongod's threads wait
        for each other; small ones wait for the journal, and share it."""
        return 4 if self.records >= 100 else self.connections * self.in_flight

    @property
    def title(self) -> str:
        plural = "core" if self.cores == 1 else "cores"
        pace = f", {self.per_second} requests/s" if self.per_second else ""
        return f"{self.signal}, {self.protocol}, {self.records:,} a request{pace}, {self.cores} {plural}"

    @property
    def encoding(self) -> Encoding:
        return "json" if self.protocol == "http/json" else "protobuf"


@dataclass(frozen=True, slots=True)
class Plan:
    """A benchmark run: scenarios, and how long and how often each is measured."""

    scenarios: Sequence[Scenario]
    rounds: int
    """Odd, so that a median is one of the measurements and not a mean."""
    seconds: float
    warm_up_seconds: float
    fill_seconds: float
    """Load on a new mongod before anything is measured. Until its oplog is full (990 MB) and its cache, inserts cost
    it less, so that what is measured first would look cheaper to store."""
    repeats: int
    """How often a measurement is made again at most, because other processes disturbed it."""


FILL = Scenario("traces", 500, ())
"""What a new mongod is filled with."""

_ALONE = ("native", "reference", "rotel", "collector", CEILING)
_ALL = (*_ALONE, "via-collector")

FULL = Plan(
    scenarios=(
        Scenario("traces", 1, _ALONE, in_flight=4),
        Scenario("traces", 10, _ALL, in_flight=4),
        Scenario("traces", 100, _ALONE, in_flight=4),
        Scenario("traces", 500, _ALL, extra_rounds=4),
        Scenario("traces", 5000, _ALONE, connections=4, in_flight=1),
        *(
            Scenario("traces", 50, ("native", "rotel", "collector"), connections=1, per_second=per_second)
            for per_second in (10, 100)
        ),
        *(Scenario(signal, 500, _ALONE) for signal in ("logs", "metrics")),
        Scenario("traces", 500, _ALONE, cores=2),
        *(
            Scenario("traces", records, ("native", "rotel", "collector"), protocol=protocol)
            for records in (10, 500)
            for protocol in ("http/protobuf", "http/json")
        ),
    ),
    rounds=3,
    seconds=3.0,
    warm_up_seconds=1.0,
    fill_seconds=15.0,
    repeats=2,
)

QUICK = Plan(
    scenarios=(Scenario("traces", 500, _ALL), Scenario("traces", 10, ("native", "rotel"), in_flight=4)),
    rounds=1,
    seconds=3.0,
    warm_up_seconds=1.0,
    fill_seconds=3.0,
    repeats=0,
)
