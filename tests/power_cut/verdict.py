"""What a start on the files of a cut shows."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.exporter.buffer.support import Metrics, everything, opened
from tests.power_cut.ledger import Entry, Ledger
from tests.power_cut.workloads import DESTINATIONS, made, number_of

_PATIENCE = 20.0
_MORE = 9999
"""The number of a batch that is appended at each start."""


async def problems(folder: Path, ledger: Ledger) -> Sequence[str]:
    """Start on it, twice, and compare with what was promised. Nothing: all is well."""
    found: list[str] = []
    try:
        async with asyncio.timeout(_PATIENCE):
            found += await _look(folder, ledger.required, ledger.begun)
            more = {(_MORE, "cloud")}
            again = await _look(folder, ledger.required | more, ledger.begun | more)
            found += [f"at the second start: {line}" for line in again]
    except Exception as error:
        found.append(f"it could not be used: {error!r}")
    return found


async def _look(folder: Path, required: set[Entry], allowed: set[Entry]) -> Sequence[str]:
    found: list[str] = []
    metrics = Metrics()
    async with opened(folder, metrics=metrics) as buffer:
        there: Counter[Entry] = Counter()
        for destination in DESTINATIONS:
            batches = await everything(buffer, destination, 500)
            there.update((number_of(item), destination) for item in batches)
            found += [f"batch {number_of(item)} is altered" for item in batches if item != made(number_of(item))]
            counted = buffer.status()[destination].batches
            if counted != len(batches):
                found.append(f"status says {counted} for {destination}, there are {len(batches)}")
        found += _lines("lost", required - there.keys())
        found += _lines("never appended", there.keys() - allowed)
        found += _lines("doubled", {entry for entry, times in there.items() if times > 1})
        found += list((await buffer.verify()).damage)
        if damaged := metrics.value("damaged_batches_total"):
            found.append(f"{damaged:.0f} batches are called damaged")
        await buffer.append(made(_MORE), "cloud")
    return found


def _lines(what: str, entries: set[Entry]) -> list[str]:
    return [f"{what}: {', '.join(f'{number} for {name}' for number, name in sorted(entries))}"] if entries else []
