"""`otlp-mongo buffer damaged`, `restore` and `status` as a user meets them, with a sidecar that runs or does not."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sidecar.serving import COMMAND, PATIENCE, Serving, send_log, start

pytestmark = pytest.mark.timeout(240)  # many processes, one after the other

NOBODY_THERE = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200"


def serving(folder: Path) -> Serving:
    started = start(folder, MONGODB_URI=NOBODY_THERE, OTLP_MONGO_DATA_DIR="data")
    started.wait_until_ready()
    return started


@pytest.fixture
def stopped(tmp_path: Path) -> Serving:
    """A sidecar that was stopped with three batches in its buffer."""
    with serving(tmp_path) as sidecar:
        for text in "abc":
            assert send_log(sidecar, text) == 200
        assert sidecar.stop() == 0
    return sidecar


def buffer_folder(sidecar: Serving) -> Path:
    return sidecar.folder / "data" / "buffer"


def set_aside(sidecar: Serving) -> str:
    """Put the only segment where an earlier version put what it could not read. Returns its name there."""
    (segment,) = buffer_folder(sidecar).glob("segment-*.sqlite")
    target = buffer_folder(sidecar) / "damaged" / f"{segment.name}.{time.time_ns()}"
    target.parent.mkdir(exist_ok=True)
    segment.rename(target)
    return target.name


@pytest.mark.parametrize("running", [False, True])
def test_damaged_files_are_listed_restored_and_purged(stopped: Serving, *, running: bool) -> None:
    name = set_aside(stopped)
    sidecar = serving(stopped.folder) if running else stopped

    with sidecar:
        listed = sidecar.command("buffer", "damaged", "list")
        restored = sidecar.command("buffer", "restore")
        status = json.loads(sidecar.command("buffer", "status", "--json").stdout)
        purged = sidecar.command("buffer", "damaged", "purge", "--all")
        after = sidecar.command("buffer", "damaged", "list")

    assert f"{name}  " in listed.stdout
    assert "otlp-mongo buffer restore brings them back" in listed.stdout
    assert restored.stdout == f"{name}: 3 batches are back, 0 were there already, 0 are lost\n"
    assert status["destinations"][0]["backlog"]["batches"] == "3"
    assert status["buffer"]["damagedFiles"] == "1"
    assert purged.stdout.startswith("1 files with ")
    assert after.stdout == "no file was set aside\n"
    assert [run.returncode for run in (listed, restored, purged, after)] == [0] * 4


def test_restore_of_a_file_that_is_none_exits_1_with_one_line(stopped: Serving) -> None:
    result = stopped.command("buffer", "restore", "nothing")

    assert result.returncode == 1
    assert result.stderr == "otlp-mongo: no file that was set aside is called 'nothing'\n"


def test_purge_without_a_name_exits_2(stopped: Serving) -> None:
    result = stopped.command("buffer", "damaged", "purge")

    assert result.returncode == 2
    assert "--all" in result.stderr


def test_segment_that_is_locked_is_told_of_everywhere_and_comes_back(stopped: Serving) -> None:
    (segment,) = buffer_folder(stopped).glob("segment-*.sqlite")
    backup = sqlite3.connect(segment, isolation_level=None)
    backup.execute("BEGIN")
    backup.execute("SELECT count(*) FROM batches").fetchall()

    with serving(stopped.folder) as sidecar:
        ready = sidecar.get("/readyz")
        metrics = sidecar.get("/metrics")[1]
        status = sidecar.command("buffer", "status")
        verified = sidecar.command("buffer", "verify")
        taken = send_log(sidecar, "d")
        backup.close()

        def waiting() -> int:
            found = json.loads(sidecar.command("buffer", "status", "--json").stdout)
            return int(found["destinations"][0]["backlog"]["batches"])

        deadline = time.monotonic() + PATIENCE
        while waiting() != 4 and time.monotonic() < deadline:
            pass
        assert waiting() == 4
        log = sidecar.log()

    assert ready[0] == 200
    assert f"cannot be read now and are tried again: {segment.name} (database is locked)" in ready[1]
    assert "otlp_mongo_exporter_buffer_unreadable_files 1.0" in metrics
    assert f"{segment.name} cannot be read since" in status.stdout
    assert verified.returncode == 1
    assert "database is locked" in verified.stderr
    assert taken == 200
    assert "files of the retry buffer cannot be read now" in log
    assert "all files of the retry buffer can be read again" in log
    assert not (buffer_folder(stopped) / "damaged").exists()


def test_check_warns_of_a_bound_that_the_volume_cannot_hold_with_the_figures(tmp_path: Path) -> None:
    result = run_command(tmp_path, "check", OTLP_MONGO_BUFFER_MAX_BYTES="16TiB", OTLP_MONGO_DATA_DIR="data")

    (line,) = [line for line in result.stdout.splitlines() if line.startswith("warning  retry buffer: ")]
    assert "may take 16,777,216.0 MiB, but the volume" in line
    assert "left alone: the buffer is full at" in line
    assert "ok       retry buffer: " in result.stdout


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Makes a file system of a given size. Needs the right to mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def make(size: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("no right to mount a file system")
        return folder

    yield make
    subprocess.run(["umount", str(folder)], capture_output=True, check=False)


def test_volume_smaller_than_the_reserve_takes_records(tmp_path: Path, tiny_disk: Callable[[str], Path]) -> None:
    data = str(tiny_disk("24m"))

    with start(tmp_path, MONGODB_URI=NOBODY_THERE, OTLP_MONGO_DATA_DIR=data) as sidecar:
        sidecar.wait_until(lambda: (Path(data) / "sidecar.json").exists())
        (tmp_path / "data").symlink_to(data)
        sidecar.wait_until_ready()
        assert [send_log(sidecar, text) for text in "abc"] == [200] * 3
        assert sidecar.stop() == 0

    assert "the retry buffer may take" in sidecar.log()


def test_volume_too_small_for_a_buffer_is_refused_by_check_and_at_the_start(
    tmp_path: Path, tiny_disk: Callable[[str], Path]
) -> None:
    data = str(tiny_disk("900k"))

    checked = run_command(tmp_path, "check", OTLP_MONGO_DATA_DIR=data)
    served = run_command(tmp_path, "serve", MONGODB_URI=NOBODY_THERE, OTLP_MONGO_DATA_DIR=data)

    expected = f"OTLP_MONGO_DATA_DIR: the volume of {data}/buffer has 0.9 MiB, of which 0.1 MiB are left alone"
    assert f"FAILED   retry buffer: {expected}" in checked.stdout
    assert served.returncode == 1
    assert expected in served.stderr


def run_command(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTLP_MONGO_", "MONGODB_"))}
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, cwd=folder, env=inherited | variables, timeout=100
    )
