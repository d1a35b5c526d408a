"""One run: senders, faults, and the verdict."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.elections import elect, elections
from tests.chaos.faults import wreak
from tests.chaos.senders import Ledger, client, sending
from tests.chaos.verdict import Verdict, judge, settled
from tests.chaos.world import world

_SETTINGS = {
    "OTLP_MONGO_INSERT_TIMEOUT": "1s",
    "OTLP_MONGO_CLOUD_INSERT_TIMEOUT": "500ms",
    "OTLP_MONGO_SHUTDOWN_GRACE": "5s",
    "OTLP_MONGO_LOG_LEVEL": "warning",
}


@dataclass(frozen=True)
class Outcome:
    """What a run did and what came of it."""

    faults: Counter[str]
    ledger: Ledger
    verdict: Verdict
    elections: int = 0
    """Of primaries, where there is a replica set."""

    def lines(self) -> Iterator[str]:
        """For people."""
        width = max(map(len, self.faults), default=0)
        for name, count in sorted(self.faults.items()):
            yield f"  {name.ljust(width)}  {count:4}"
        yield f"faults: {self.faults.total()}" + (f", elections: {self.elections}" if self.elections else "")
        yield f"sent records: {self.ledger.sent.total()}, of which the sender gave up {self.ledger.given_up}"
        yield f"answers: {dict(self.ledger.answers.most_common())}"
        yield f"longest wait for an acknowledgement, retries included: {self.ledger.longest_wait:.1f} s"
        yield from self.verdict.lines()


async def run(
    folder: Path, *, seed: int, seconds: float, every: tuple[float, float], buffer: str, small_disk: bool = False
) -> Outcome:
    """`buffer`: what the retry buffer may take. `small_disk`: the disk of the sidecar's data may be filled."""
    ledger = Ledger()
    async with world(folder, **_SETTINGS, OTLP_MONGO_BUFFER_MAX_BYTES=buffer) as processes:
        async with client(processes.grpc, processes.http) as sender, sending(sender, ledger, seed):
            faults = await wreak(processes, seed, seconds, every=every, small_disk=small_disk)
        await settled(processes)
        return Outcome(faults, ledger, await judge(processes, ledger))


async def run_elections(folder: Path, *, seed: int, seconds: float, every: tuple[float, float]) -> Outcome:
    """As `run`, before a replica set whose primary changes."""
    ledger = Ledger()
    async with elections(folder, **_SETTINGS) as processes:
        before = await processes.replicas.term()
        # Three mongods and their senders share the machine; the faults are what counts, not the load.
        async with client(processes.grpc, processes.http) as sender, sending(sender, ledger, seed, senders=3):
            faults = await elect(processes, seed, seconds, every=every)
        await settled(processes)
        elected = await processes.replicas.term() - before
        return Outcome(faults, ledger, await judge(processes, ledger), elected)


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A file system of its own for the sidecar's data, where we may mount one. Whether there is one."""
    data = folder / "data"
    data.mkdir()
    if os.geteuid() != 0:
        yield False
        return
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", data], check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", data], check=True)
