"""Many faults, one after the other, in one process.

`python -m tests.disk_faults.run FOLDER CONTROL RESULTS SEED COUNT KIND…` writes a line of JSON before and after each.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from tests.disk.faults import Faults, Operation
from tests.disk.library import environment
from tests.disk_faults.session import Fault, Session, prepare

ROOT = Path(__file__).parents[2]
ERRORS: Mapping[Operation, Sequence[int]] = {
    Operation.OPEN: (errno.EMFILE, errno.ENFILE, errno.EACCES, errno.EIO, errno.ENOSPC, errno.EROFS, errno.ENOMEM),
    Operation.READ: (errno.EIO, errno.ENOMEM),
    Operation.WRITE: (errno.ENOSPC, errno.EIO, errno.EDQUOT),
    Operation.SYNC: (errno.EIO, errno.ENOSPC),
    Operation.RESIZE: (errno.EIO, errno.ENOSPC),
    Operation.RENAME: (errno.EIO, errno.ENOSPC, errno.EACCES, errno.EROFS),
    Operation.UNLINK: (errno.EIO, errno.EACCES, errno.EROFS),
    Operation.MKDIR: (errno.EIO, errno.ENOSPC, errno.EACCES, errno.EROFS),
    Operation.STAT: (errno.EIO, errno.EACCES, errno.ENOMEM),
    Operation.LIST: (errno.EIO, errno.EMFILE, errno.EACCES, errno.ENOMEM),
}
"""What each kind of call is known to fail with."""


_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where an fsync costs nothing."""


def run(library: Path, operations: Sequence[Operation], *, seed: int, count: int, seconds: float) -> Sequence[str]:
    """Try `count` faults of each kind of call. Returns what was wrong.

    A process that dies is wrong, too. Raises TimeoutExpired: it took longer than `seconds`.
    """
    with tempfile.TemporaryDirectory(prefix="otlp-mongo-faults-", dir=_MEMORY) as name:
        return _run(library, Path(name), operations, seed, count, seconds)


def _run(
    library: Path, folder: Path, operations: Sequence[Operation], seed: int, count: int, seconds: float
) -> Sequence[str]:
    control, results = folder / "control", folder / "results"
    with Faults(control):
        pass
    names = [operation.name for operation in operations]
    watched = folder / "disk"
    watched.mkdir()
    child = subprocess.run(
        [sys.executable, "-m", "tests.disk_faults.run", watched, control, results, str(seed), str(count), *names],
        cwd=ROOT,
        env={**os.environ, **environment(library, watched, control=control)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=seconds,
        check=False,
    )
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    wrong = [f"{line['fault']}: {problem}" for line in lines for problem in line.get("problems", ())]
    if child.returncode or not lines or "tried" not in lines[-1]:
        wrong.append(f"the process ended with {child.returncode}, after {lines[-1:]}")
    elif lines[-1]["failed"] < lines[-1]["tried"] // 2:
        wrong.append(f"only {lines[-1]['failed']} of {lines[-1]['tried']} faults came to pass")
    return wrong


async def _try_all(
    root: Path, faults: Faults, results: Path, random: Random, count: int, operations: Sequence[Operation]
) -> None:
    def note(**line: object) -> None:
        with results.open("a") as stream:
            stream.write(json.dumps(line) + "\n")

    there = await prepare(root / "prepared")
    sound = await _one(root, there, faults, None)
    note(fault="no fault", problems=sound.problems)
    tried = failed = 0
    for operation in operations:
        for _ in range(count if sound.calls[operation] else 0):
            fault = Fault(
                operation,
                random.randrange(sound.calls[operation]),
                random.choice(ERRORS[operation]),
                lasting=random.random() < 0.5,
                through_close=random.random() < 0.5,
            )
            note(fault=str(fault))
            session = await _one(root, there, faults, fault)
            tried += 1
            failed += session.failed > 0
            note(fault=str(fault), problems=session.problems)
    note(tried=tried, failed=failed)


async def _one(root: Path, there: Sequence[int], faults: Faults, fault: Fault | None) -> Session:
    folder = root / "used"
    shutil.copytree(root / "prepared", folder)
    session = Session(folder, there)
    await session.run(faults, fault)
    shutil.rmtree(folder)
    return session


if __name__ == "__main__":
    place, control, results, seed, count, *names = sys.argv[1:]
    kinds = [Operation[name] for name in names]
    with Faults(Path(control)) as shared:
        asyncio.run(_try_all(Path(place), shared, Path(results), Random(int(seed)), int(count), kinds))
