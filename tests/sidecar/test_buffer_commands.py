"""`otlp-mongo buffer damaged`, `restore` and `status` as a user meets them, with a sidecar that runs or does not."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

import pytest

from tests.sidecar.serving import PATIENCE, Serving, send_log, start

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
