"""SQLite and LMDB as the store under the retry buffer, side by side: `python -m benchmarks.buffer_stores FOLDER`.

FOLDER must lie on the disk that is to be measured.
The payloads are random bytes, since the buffer hands its store compressed batches.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

import lmdb
import psutil

LARGE = 34_000
"""What 500 spans (200 KB) take compressed."""
SMALL = 800
"""What 5 spans (2 KB) take compressed."""
MIB = 1 << 20


class Store(Protocol):
    """What the comparison asks of a store: rows of (position, payload)."""

    def write(self, rows: Iterable[tuple[int, bytes]]) -> None:
        """Return when all rows are on disk."""

    def read(self, position: int) -> bytes | None: ...

    def delete(self, positions: Iterable[int]) -> None: ...

    def positions(self) -> Iterator[int]: ...

    def close(self) -> None: ...


class Sqlite:
    name = "SQLite"

    def __init__(self, folder: Path, limit: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "data.sqlite"
        self._db = sqlite3.connect(self.file, isolation_level=None)
        for pragma in ("auto_vacuum=INCREMENTAL", "journal_mode=WAL", "synchronous=FULL", "locking_mode=EXCLUSIVE"):
            self._db.execute(f"PRAGMA {pragma}")
        if limit:
            self._db.execute(f"PRAGMA max_page_count={limit // 4096}")
        self._db.execute("CREATE TABLE IF NOT EXISTS batches (position INTEGER PRIMARY KEY, payload BLOB)")

    def write(self, rows: Iterable[tuple[int, bytes]]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany("INSERT INTO batches VALUES (?, ?)", rows)
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def read(self, position: int) -> bytes | None:
        row = self._db.execute("SELECT payload FROM batches WHERE position = ?", (position,)).fetchone()
        return row and row[0]

    def delete(self, positions: Iterable[int]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("DELETE FROM batches WHERE position = ?", ((p,) for p in positions))
        self._db.execute("COMMIT")
        self._db.executescript("PRAGMA incremental_vacuum")  # execute() would take one step, one page, only

    def positions(self) -> Iterator[int]:
        return (row[0] for row in self._db.execute("SELECT position FROM batches"))

    def close(self) -> None:
        self._db.close()


class Lmdb:
    name = "LMDB"

    def __init__(self, folder: Path, limit: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "data.mdb"
        self._env = lmdb.open(str(folder), map_size=limit or 4096 * MIB)

    def write(self, rows: Iterable[tuple[int, bytes]]) -> None:
        with self._env.begin(write=True) as transaction:
            for position, payload in rows:
                transaction.put(position.to_bytes(8), payload, append=True)

    def read(self, position: int) -> bytes | None:
        with self._env.begin() as transaction:
            return transaction.get(position.to_bytes(8))

    def delete(self, positions: Iterable[int]) -> None:
        with self._env.begin(write=True) as transaction:
            for position in positions:
                transaction.delete(position.to_bytes(8))

    def positions(self) -> Iterator[int]:
        with self._env.begin() as transaction, transaction.cursor() as cursor:
            for key in cursor.iternext(values=False):
                yield int.from_bytes(key)

    def close(self) -> None:
        self._env.close()


STORES = {store.name: store for store in (Sqlite, Lmdb)}


def payload(position: int, size: int) -> bytes:
    """Random bytes, the same for the same position, that carry a checksum."""
    body = random.Random(position).randbytes(size - 16)
    return blake2b(body, digest_size=16).digest() + body


def intact(data: bytes) -> bool:
    return blake2b(data[16:], digest_size=16).digest() == data[:16]


def disk_bytes(folder: Path) -> int:
    return sum(file.stat().st_blocks * 512 for file in folder.iterdir())


def throughput(
    kind: type[Sqlite | Lmdb], folder: Path, size: int, group: int, seconds: float = 2.0
) -> dict[str, float]:
    """Batches a second and CPU a batch, `group` batches to an fsync."""
    data = [payload(i, size) for i in range(64)]
    with closing(kind(folder)) as store:
        count, began, cpu = 0, time.perf_counter(), time.process_time()
        while time.perf_counter() - began < seconds:
            store.write((count + i, data[i]) for i in range(group))
            count += group
        elapsed, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {"per_second": count / elapsed, "mb_per_second": count * size / elapsed / 1e6, "cpu_us": cpu / count * 1e6}


def backlog(kind: type[Sqlite | Lmdb], folder: Path, count: int = 10_000) -> dict[str, float]:
    """Disk taken by a backlog, memory and time to open it and read its first 100, disk left once it is drained."""
    with closing(kind(folder)) as store:
        data = payload(0, LARGE)
        for first in range(0, count, 64):
            store.write((i, data) for i in range(first, min(first + 64, count)))
    filled = disk_bytes(folder)
    opened = json.loads(_child(kind, folder, "open").stdout)
    with closing(kind(folder)) as store:
        for first in range(0, count, 64):
            store.delete(range(first, min(first + 64, count)))
    return {"filled_mib": filled / MIB, **opened, "drained_mib": disk_bytes(folder) / MIB}


def killed(kind: type[Sqlite | Lmdb], folder: Path, rounds: int = 10) -> dict[str, float]:
    """A child writes and prints what is acknowledged, and is killed; how many acknowledged batches are missing then?"""
    lost = acknowledged = 0
    reopen = 0.0
    for _ in range(rounds):
        child = _start(kind, folder, "write")
        time.sleep(0.3 + random.random() / 4)
        child.send_signal(signal.SIGKILL)
        lines = child.communicate()[0].split("\n")[:-1]
        began = time.perf_counter()
        with closing(kind(folder)) as store:
            reopen = max(reopen, time.perf_counter() - began)
            rows = [store.read(int(line)) for line in lines]
        lost += sum(row is None or not intact(row) for row in rows)
        acknowledged += len(lines)
    return {"acknowledged": acknowledged, "lost": lost, "reopen_ms": reopen * 1000}


def full(kind: type[Sqlite | Lmdb], folder: Path) -> dict[str, str]:
    """What a store says at its own bound, whether it takes writes again once there is room, and on a full disk."""
    with closing(kind(folder, 8 * MIB)) as store:
        position = 0
        try:
            while True:
                store.write([(position, payload(position, LARGE))])
                position += 1
        except (sqlite3.Error, lmdb.Error) as error:
            message = f"{type(error).__name__}: {error}"
        removable: str
        try:
            store.delete(range(position // 2))
            store.write([(position, payload(position, LARGE))])
            removable = "deletes and writes again"
        except (sqlite3.Error, lmdb.Error) as error:
            removable = f"cannot delete: {error}"
    return {"bound": message, "after": removable, "disk": _child(kind, folder / "disk", "disk-full").stdout.strip()}


def damaged(kind: type[Sqlite | Lmdb], folder: Path, rounds: int = 150) -> dict[str, float]:
    """Flip one bit anywhere in the file of 200 batches, then read all: who notices, and how much can be read?"""
    original = folder / "original"
    with closing(kind(original)) as store:
        store.write((i, payload(i, SMALL if i % 2 else LARGE // 4)) for i in range(200))
    counts = {"unnoticed": 0, "store": 0, "checksum": 0, "killed": 0, "readable": 0}
    for number in range(rounds):
        copy = folder / "copy"
        shutil.copytree(original, copy)
        file = copy / kind(copy).file.name
        position = random.Random(number).randrange(file.stat().st_size * 8)
        with file.open("r+b") as stream:
            stream.seek(position // 8)
            byte = stream.read(1)[0]
            stream.seek(position // 8)
            stream.write(bytes([byte ^ 1 << position % 8]))
        child = _child(kind, copy, "read")
        if child.returncode:
            counts["killed"] += 1
        else:
            result = json.loads(child.stdout)
            counts["readable"] += result["intact"]
            outcome = "store" if result["error"] else "unnoticed" if result["intact"] == 200 else "checksum"
            counts[outcome] += 1
        shutil.rmtree(copy)
    return counts | {"readable": counts["readable"] / rounds / 2}


def _start(kind: type[Sqlite | Lmdb], folder: Path, what: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.buffer_stores", str(folder), "--child", what, "--store", kind.name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _child(kind: type[Sqlite | Lmdb], folder: Path, what: str) -> subprocess.CompletedProcess[str]:
    child = _start(kind, folder, what)
    out, err = child.communicate(timeout=120)
    return subprocess.CompletedProcess(child.args, child.returncode, out, err)


def run_child(kind: type[Sqlite | Lmdb], folder: Path, what: str) -> None:
    before = psutil.Process().memory_info().rss
    began = time.perf_counter()
    if what == "read":
        print(json.dumps(_read_all(kind, folder)))
        return
    if what == "disk-full":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 * MIB, 4 * MIB))
    store = kind(folder)
    if what == "open":
        for position in range(100):
            store.read(position)
        rss = psutil.Process().memory_info().rss - before
        print(json.dumps({"open_ms": (time.perf_counter() - began) * 1000, "open_rss_mib": rss / MIB}))
    elif what == "disk-full":
        try:
            for position in range(1000):
                store.write([(position, payload(position, LARGE))])
        except (sqlite3.Error, lmdb.Error) as error:
            print(f"{type(error).__name__}: {error} ({errno.errorcode[errno.EFBIG]} from the system)")
    else:
        position = max(store.positions(), default=-1) + 1
        while True:
            store.write((position + i, payload(position + i, SMALL)) for i in range(4))
            os.write(1, "".join(f"{position + i}\n" for i in range(4)).encode())
            position += 4
    store.close()


def _read_all(kind: type[Sqlite | Lmdb], folder: Path) -> dict[str, int]:
    good = error = 0
    try:
        store = kind(folder)
        for position in range(200):
            try:
                row = store.read(position)
            except (sqlite3.Error, lmdb.Error):
                error += 1
            else:
                good += row is not None and intact(row)
        store.close()
    except (sqlite3.Error, lmdb.Error):
        error += 1
    return {"intact": good, "error": error}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--child")
    parser.add_argument("--store", choices=STORES)
    options = parser.parse_args()
    if options.child:
        run_child(STORES[options.store], options.folder, options.child)
        return
    for name, kind in STORES.items():
        base = options.folder / name.lower()
        for size in (LARGE, SMALL):
            for group in (1, 8, 64):
                figures = throughput(kind, base / f"throughput-{size}-{group}", size, group)
                print(name, size, group, {key: round(value, 1) for key, value in figures.items()}, flush=True)
        for measure in (backlog, killed, full, damaged):
            print(name, measure.__name__, measure(kind, base / measure.__name__), flush=True)
        shutil.rmtree(base)


if __name__ == "__main__":
    main()
