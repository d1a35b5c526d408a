"""Whose folder it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.buffer import BufferInUse
from tests.exporter.buffer.support import batch, everything, opened

ROOT = Path(__file__).parents[3]

_OPEN = """
import asyncio, os, pathlib, sys
from exporter.buffer import BufferOpenError
from tests.exporter.buffer.support import batch, opened

async def main(folder):
    try:
        async with opened(folder) as buffer:
            print("opened", flush=True)
            sys.stdin.readline()
    except BufferOpenError as error:
        print(type(error).__name__, error)

if os.geteuid() == 0 and len(sys.argv) > 2:
    asyncio.run(asyncio.sleep(0))
    os.seteuid(65534)
asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _OPEN, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)


async def test_folder_in_use_by_another_process_is_refused_with_its_pid(tmp_path: Path) -> None:
    with start(str(tmp_path)) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "opened\n"

        with pytest.raises(BufferInUse) as refused:
            async with opened(tmp_path):
                pass

        other.communicate("\n")
    assert f"pid {other.pid}" in str(refused.value)
    assert str(tmp_path) in str(refused.value)
    async with opened(tmp_path) as buffer:
        await buffer.append(batch(1), "cloud")


async def test_folder_in_use_by_this_process_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as buffer:
        with pytest.raises(BufferInUse, match=str(os.getpid())):
            async with opened(tmp_path):
                pass
        await buffer.append(batch(1), "cloud")


async def test_read_only_folder_is_refused_and_named(tmp_path: Path) -> None:
    async with opened(tmp_path / "buffer") as buffer:
        await buffer.append(batch(1), "cloud")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    (tmp_path / "buffer").chmod(0o555)
    (tmp_path / "buffer" / "lock").chmod(0o444)

    with start(str(tmp_path / "buffer"), "as nobody") as other:
        answer, _ = other.communicate("\n")

    (tmp_path / "buffer").chmod(0o755)
    (tmp_path / "buffer" / "lock").chmod(0o644)
    async with opened(tmp_path / "buffer") as buffer:
        found = await everything(buffer, "cloud")
    assert answer.startswith("BufferReadOnly")
    assert str(tmp_path / "buffer") in answer
    assert found == [batch(1)]
