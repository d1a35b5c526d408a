"""Running a workload, cutting its power at many moments, and starting on what is left."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.disk.library import environment
from tests.disk.model import Cut, Disk, Fate, Image, Journal, write_image
from tests.disk.trace import Call, Kind, read_trace
from tests.power_cut.ledger import Ledger
from tests.power_cut.verdict import problems

ROOT = Path(__file__).parents[2]
PLACE = "data/buffer"
_MEMORY = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
"""Where starts cost no disk."""
_WORST = (
    (Journal.STRICT, Fate.LOST, Fate.LOST),
    (Journal.STRICT, Fate.KEPT, Fate.LOST),
    (Journal.ORDERED, Fate.KEPT, Fate.LOST),
)
"""What shows a sync that is missing: tried behind answers."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to try."""

    answers: int
    """Answers to cut right behind, in the worst ways."""
    moments: int
    """Cuts at any moment, in any way."""
    leftovers: int = 6
    """Of what was started on, how much to keep to cut the recovery of."""


@dataclass(slots=True)
class Outcome:
    """What came of many cuts."""

    cuts: int = 0
    required: int = 0
    """Batches that had to be there, over all cuts."""
    ways: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    leftovers: list[tuple[Image, Ledger]] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        self.cuts += other.cuts
        self.required += other.required
        self.ways += other.ways
        self.problems += other.problems

    def lines(self) -> Sequence[str]:
        """For people."""
        head = f"{self.cuts} cuts, {self.required} batches that had to be there, {len(self.problems)} problems"
        return [head, *(f"  {way}: {times}" for way, times in sorted(self.ways.items())), *self.problems[:50]]


@dataclass(frozen=True, slots=True)
class Run:
    """A workload that ran to its end."""

    base: Disk
    """Before it."""
    calls: Sequence[Call]


def run_workload(library: Path, name: str, root: Path, place: str = PLACE, *weaken: str) -> Run:
    """Run it in the folder `place` of `root`/disk. `weaken`: arguments of `workloads.weaken`."""
    disk, trace = root / "disk", root / "trace"
    disk.mkdir(exist_ok=True)
    base = Disk.of(disk)
    subprocess.run(
        [sys.executable, "-m", "tests.power_cut.workloads", name, disk / place, trace, *weaken],
        check=True,
        cwd=ROOT,
        env={**os.environ, **environment(library, disk, trace=trace)},
        timeout=60,
    )
    run = Run(base, read_trace(trace))
    _assert_followed(run, disk)
    return run


async def cut_power(run: Run, random: Random, plan: Plan, place: str = PLACE, ledger: Ledger | None = None) -> Outcome:
    """Cut, and start on what is left of the folder `place`. `ledger`: what was promised before."""
    outcome = Outcome()
    for name, image, promised in _cuts(run, random, plan, place, ledger or Ledger(), outcome.ways):
        outcome.cuts += 1
        outcome.required += len(promised.required)
        found = await judge(image, promised)
        outcome.problems += [f"{name}: {line}" for line in found]
        if found:
            continue
        if len(outcome.leftovers) < plan.leftovers:
            outcome.leftovers.append((image, promised))
        elif plan.leftovers and random.random() < plan.leftovers / outcome.cuts:
            outcome.leftovers[random.randrange(plan.leftovers)] = (image, promised)
    return outcome


async def cut_recovery(
    library: Path, leftovers: Sequence[tuple[Image, Ledger]], root: Path, random: Random, plan: Plan
) -> Outcome:
    """Start on what earlier cuts left, and cut the power of that."""
    outcome = Outcome()
    for number, (image, _) in enumerate(leftovers):
        write_image(image, root / "disk" / str(number))
    run = run_workload(library, "recovery", root, "")
    starts = [index for index, call in enumerate(run.calls) if _is_mark(call, "enter")]
    disk = run.base
    for start, end in zip(starts, [*starts[1:], len(run.calls)], strict=True):
        name = run.calls[start].payload.decode().split()[1]
        part = Run(deepcopy(disk), run.calls[start:end])
        one = await cut_power(part, random, plan, name, deepcopy(leftovers[int(name)][1]))
        one.problems = [f"leftover {name}, {line}" for line in one.problems]
        outcome.add(one)
        for call in part.calls:
            disk.follow(call)
    return outcome


async def judge(image: Image, promised: Ledger) -> Sequence[str]:
    """What a start on an image shows to be wrong."""
    with tempfile.TemporaryDirectory(prefix="otlp-mongo-power-", dir=_MEMORY) as name:
        folder = Path(name) / "buffer"
        write_image(image, folder)
        return await problems(folder, promised)


def _cuts(
    run: Run, random: Random, plan: Plan, place: str, ledger: Ledger, ways: Counter[str]
) -> Iterator[tuple[str, Image, Ledger]]:
    """A name for each cut, what is left, and what was promised."""
    found = _answers(run.calls)
    answers = set(random.sample(found, min(plan.answers, len(found))))
    moments = Counter(random.choices(_moments(run.calls), k=plan.moments))
    ahead = _kept_ahead(run.calls)
    disk = deepcopy(run.base)
    for index, call in enumerate(run.calls):
        disk.follow(call)
        if call.kind is Kind.MARK:
            ledger.follow(call.payload.decode())
        cuts = [Cut(*way, random) for way in _WORST] if index in answers else []
        cuts += [_any_way(random) for _ in range(moments[index])]
        for cut in cuts:
            way = f"{cut.journal.name}, names {cut.names.name}, contents {cut.contents.name}".lower()
            ways[way] += 1
            required = {entry for entry in ledger.required if entry[0] >= ahead[index]}
            yield f"behind call {index}, {way}", disk.after_cut(cut, place), Ledger(set(ledger.begun), required)


def _answers(calls: Sequence[Call]) -> Sequence[int]:
    """The last answers before anything else is done to the disk."""
    last, found = 0, set()
    for index, call in enumerate(calls):
        if _is_mark(call, "done"):
            last = index
        elif call.kind is not Kind.MARK:
            found.add(last)
    return sorted({*found, last} - {0})


def _moments(calls: Sequence[Call]) -> Sequence[int]:
    """Indices to choose from: writes are many, so half of what is chosen is what else happens."""
    writes = [index for index, call in enumerate(calls) if call.kind is Kind.WRITE]
    others = [index for index, call in enumerate(calls) if call.kind is not Kind.WRITE]
    return writes + others * max(1, len(writes) // max(1, len(others)))


def _any_way(random: Random) -> Cut:
    names = (Fate.LOST, Fate.KEPT, Fate.SOME)
    return Cut(random.choice(tuple(Journal)), random.choice(names), random.choice(tuple(Fate)), random)


def _kept_ahead(calls: Sequence[Call]) -> Sequence[int]:
    """For each moment the number below which batches may be gone: dropping them may have begun."""
    ahead, kept = [0] * len(calls), 0
    for index in reversed(range(len(calls))):
        if _is_mark(calls[index], "kept"):
            kept = int(calls[index].payload.split()[1])
        ahead[index] = kept
    return ahead


def _is_mark(call: Call, word: str) -> bool:
    return call.kind is Kind.MARK and call.payload.decode().split()[0] == word


def _assert_followed(run: Run, folder: Path) -> None:
    """The model must hold what the folder holds: then no call went past it."""
    disk = deepcopy(run.base)
    for call in run.calls:
        disk.follow(call)
    expected, found = Disk.of(folder).now(), disk.now()
    assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
