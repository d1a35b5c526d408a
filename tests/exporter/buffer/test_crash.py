"""Killed at any moment: what was acknowledged is there."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from tests.exporter.buffer.support import batch, everything, opened

ROOT = Path(__file__).parents[3]

_APPEND_FOR_EVER = """
import asyncio, os, pathlib, sys
from tests.exporter.buffer.support import MIB, batch, opened

async def append(buffer, number, step):
    while True:
        await buffer.append(batch(number, 400 + number % 7 * 3000), "cloud")
        os.write(1, f"a {number}\\n".encode())
        number += step

async def remove(buffer):
    while True:
        for item in await buffer.oldest("cloud", 3):
            if item.batch.records % 5 == 0:
                os.write(1, f"r {(item.batch.base_id >> 72) & 0xFFFF}\\n".encode())
                await buffer.remove("cloud", [item.position])
        await asyncio.sleep(0.001)

async def main(folder, first):
    async with opened(folder, segment_bytes=MIB // 4) as buffer:
        os.write(1, b"o 0\\n")
        async with asyncio.TaskGroup() as tasks:
            for i in range(6):
                tasks.create_task(append(buffer, first + i, 6))
            tasks.create_task(remove(buffer))

asyncio.run(main(pathlib.Path(sys.argv[1]), int(sys.argv[2])))
"""


def run_and_kill(folder: Path, first: int, seconds: float) -> list[tuple[str, int]]:
    """Let a child append from number `first` on, kill it, and return what it said: what was acknowledged or removed."""
    command = [sys.executable, "-c", _APPEND_FOR_EVER, str(folder), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        assert child.stdout is not None
        opened_line = child.stdout.readline()
        while not opened_line.startswith("o "):
            assert opened_line, f"the child ended with {child.wait(10)}"
            opened_line = child.stdout.readline()
        time.sleep(seconds)  # the moment to be killed at, not something to wait for
        child.kill()
        lines = child.stdout.read().split("\n")[:-1]
    return [(line[0], int(line[2:])) for line in lines if line[:2] in {"a ", "r "}]


async def test_process_killed_again_and_again_loses_nothing_acknowledged(tmp_path: Path) -> None:
    moments = random.Random(7)
    acknowledged: set[int] = set()
    removed: set[int] = set()
    for round_ in range(4):
        events = run_and_kill(tmp_path, 1 + round_ * 10_000, 0.1 + moments.random() * 0.4)
        acknowledged.update(number for kind, number in events if kind == "a")
        removed.update(number for kind, number in events if kind == "r")

        async with opened(tmp_path) as buffer:
            report = await buffer.verify()
            found = await everything(buffer, "cloud", 500)

        numbers = {(item.base_id >> 72) & 0xFFFF for item in found}
        assert report.ok, report.damage
        assert acknowledged - removed <= numbers
        assert len(numbers) == len(found)
        assert all(item == batch(n, 400 + n % 7 * 3000) for item in found for n in [(item.base_id >> 72) & 0xFFFF])
    assert len(acknowledged) > 50
