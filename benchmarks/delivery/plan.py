"""What is measured of delivery, as tables: adding a measurement is adding an entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.delivery.servers import CLOUD, LOCAL, Fault
from benchmarks.results import Ratio, cpu, rate
from benchmarks.scenarios import Scenario


@dataclass(frozen=True, slots=True)
class Situation:
    """What the sidecar delivers to, and what of it is down all the time."""

    label: str
    destinations: Sequence[str] = (LOCAL, CLOUD)
    down: Sequence[str] = ()


SITUATIONS: Mapping[str, Situation] = {
    "local alone": Situation("no cloud destination is configured", destinations=(LOCAL,)),
    "healthy": Situation("both take records"),
    "cloud down": Situation("the cloud one is killed: its share is buffered", down=(CLOUD,)),
    "local down": Situation("the local one is killed: its share is buffered", down=(LOCAL,)),
    "both down": Situation("all is buffered", down=(LOCAL, CLOUD)),
}
"""By the name of a subject."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A destination that goes down under load."""

    destination: str
    fault: Fault | None
    """None: nothing happens, for comparison."""

    @property
    def title(self) -> str:
        return f"{self.destination}: {self.fault.value}" if self.fault else "none"


OUTAGES = (
    Outage("", None),
    *(Outage(destination, fault) for destination in (LOCAL, CLOUD) for fault in Fault),
)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is sent while a backlog is replayed. Without connections: nothing."""

    title: str
    connections: int = 0
    in_flight: int = 1
    backlog: bool = True
    """Without one it is the measure for the others."""


_LIGHT = "one request at a time"
_HEAVY = "as much as goes"
TRAFFIC = (
    Traffic("none"),
    Traffic(_LIGHT, connections=1),
    Traffic(f"{_LIGHT}, no backlog", connections=1, backlog=False),
    Traffic(_HEAVY, connections=8, in_flight=2),
    Traffic(f"{_HEAVY}, no backlog", connections=8, in_flight=2, backlog=False),
)

RATIOS: Sequence[Ratio] = (
    Ratio("CPU: healthy ÷ local alone", "", "healthy", "local alone", cpu),
    Ratio("records/s: healthy ÷ local alone", "", "healthy", "local alone", rate),
    Ratio("records/s: cloud down ÷ healthy", "≥ 1", "cloud down", "healthy", rate),
    Ratio("CPU: cloud down ÷ healthy", "≤ 1", "cloud down", "healthy", cpu),
    Ratio("records/s: local down ÷ healthy", "≥ 1", "local down", "healthy", rate),
    Ratio("CPU: local down ÷ healthy", "≤ 1", "local down", "healthy", cpu),
)


@dataclass(frozen=True, slots=True)
class DeliveryPlan:
    """A run: what, how long and how often."""

    rounds: int = 3
    seconds: float = 3.0
    warm_up_seconds: float = 1.0
    steady: Sequence[Scenario] = (
        Scenario("traces", 500, tuple(SITUATIONS)),
        Scenario("traces", 10, tuple(SITUATIONS), in_flight=4),
    )
    outages: Sequence[Outage] = OUTAGES
    traffic: Sequence[Traffic] = TRAFFIC
    footprints: Sequence[int] = field(default=(0, 5_000_000))
    """Spans of the backlogs that a sidecar is started with."""
