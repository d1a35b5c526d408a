"""A sidecar as users run it, an attacker in a process of its own, and what both do to a good client."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.attacks.good_client import Experience, GoodClient
from tests.end_to_end.process import Program

ROOT = Path(__file__).parents[2]
MIB = 1 << 20


@dataclass(frozen=True)
class Target:
    """A running sidecar."""

    program: Program
    grpc: str
    http: str
    admin: str

    @property
    def pid(self) -> int:
        return self.program._process.pid

    @property
    def peak_mib(self) -> float:
        """The most that was resident since `forget_peak`."""
        return self._status("VmHWM")

    @property
    def resident_mib(self) -> float:
        return self._status("VmRSS")

    @property
    def descriptors(self) -> int:
        """How many are open now."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def forget_peak(self) -> None:
        """See proc(5), clear_refs."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _status(self, name: str) -> float:
        found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)
        assert found
        return int(found[1]) / 1024


@dataclass(frozen=True)
class Outcome:
    """What an attack did."""

    experience: Experience
    peak_mib: float
    resident_mib: float
    """At its end, or later."""


@contextmanager
def running(folder: Path, mongodb_uri: str, *, descriptors: int | None = None, **variables: str) -> Iterator[Target]:
    """A sidecar of its own. `descriptors`: how many it may have; None for as many as usual."""
    environment = {
        "MONGODB_URI": mongodb_uri,
        "OTLP_MONGO_GRPC_ENDPOINT": "127.0.0.1:0",
        "OTLP_MONGO_HTTP_ENDPOINT": "127.0.0.1:0",
        "OTLP_MONGO_ADMIN_ENDPOINT": "127.0.0.1:0",
        "OTLP_MONGO_DATA_DIR": str(folder / "data"),
        **variables,
    }
    limited: list[str | Path] = ["prlimit", f"--nofile={descriptors}"] if descriptors else []
    command = [*limited, Path(sys.executable).parent / "otlp-mongo", "serve"]
    with Program(command, environment, folder) as program:
        ready = program.line(lambda line: line.get("message") == "ready")
        yield Target(program, ready["grpc"], ready["http"], ready["admin"])


async def suffer(target: Target, attack: str | None, seconds: float, afterwards: float = 0.0) -> Outcome:
    """Attack a sidecar for so long. `attack`: a name in `attacks.ATTACKS`, or None for quiet.

    `afterwards`: seconds from the end to when memory is looked at once more.
    """
    target.forget_peak()
    attacker = None
    async with GoodClient(target.grpc, target.http) as client:
        if attack is not None:
            command = [sys.executable, "-m", "tests.attacks", "attack", attack, target.grpc, target.http]
            attacker = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
        await asyncio.sleep(seconds)
        if attacker is not None:
            assert attacker.returncode in (None, 0), "the attack failed by itself"
            if attacker.returncode is None:
                attacker.kill()
            await attacker.wait()
    await asyncio.sleep(afterwards)
    return Outcome(client.experience, target.peak_mib, target.resident_mib)
