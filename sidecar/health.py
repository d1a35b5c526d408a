"""What each part says about itself, for `/readyz` and the status page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PartHealth:
    """The state of one part, in words, and whether records can be taken with it in that state."""

    ready: bool
    state: str


Probe = Callable[[], PartHealth]
"""Cheap, from memory: it is called for every request to `/readyz`."""


class Health:
    """The parts of the sidecar. Records can be taken once it is open and every part is ready."""

    def __init__(self) -> None:
        self._probes: dict[str, Probe] = {}
        self._phase = PartHealth(ready=False, state="starting")

    def register(self, name: str, probe: Probe) -> None:
        self._probes[name] = probe

    def running(self) -> None:
        """All has started."""
        self._phase = PartHealth(ready=True, state="running")

    def stopping(self) -> None:
        """From now on not ready, whatever the parts say."""
        self._phase = PartHealth(ready=False, state="stopping")

    def parts(self) -> Mapping[str, PartHealth]:
        return {"sidecar": self._phase, **{name: probe() for name, probe in self._probes.items()}}

    @property
    def ready(self) -> bool:
        return all(part.ready for part in self.parts().values())
