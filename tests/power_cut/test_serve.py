"""The whole sidecar after a power cut: what it answered OK to is delivered, once, by the next one."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from pymongo import MongoClient

from tests.disk.library import environment
from tests.disk.model import Cut, Disk, Fate, Journal, write_image
from tests.disk.trace import Kind, Marker, read_trace
from tests.sidecar.serving import Serving, send_log, start

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

_RECORDS = 6
_UNREACHABLE = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200"


@pytest.mark.parametrize("contents", [Fate.LOST, Fate.SOME])
def test_sidecar_after_a_power_cut_delivers_what_the_last_one_answered_ok_to(
    disk_library: Path, tmp_path: Path, mongodb_uri: str, database_name: str, contents: Fate
) -> None:
    disk, trace, again = tmp_path / "first", tmp_path / "trace", tmp_path / "second"
    disk.mkdir()
    base = Disk.of(disk)
    watched = [f"{name}={value}" for name, value in environment(disk_library, disk, trace=trace).items()]
    with start(disk, prefix=("env", *watched), MONGODB_URI=_UNREACHABLE) as first, Marker(trace) as mark:
        first.wait_until_ready()
        for number in range(_RECORDS):
            assert send_log(first, f"record {number}") == 200
            mark("done")
        # What it writes from here on is not looked at.

    for call in _up_to_last_mark(trace):
        base.follow(call)
    image = base.after_cut(Cut(Journal.STRICT, Fate.LOST, contents, Random(7)))
    write_image(image, again)

    with start(again, MONGODB_URI=mongodb_uri, MONGODB_DATABASE=database_name) as second:
        second.wait_until_ready()
        stored = _await_records(second, mongodb_uri, database_name)
        verified = second.command("buffer", "verify")

    assert stored == [f"record {number}" for number in range(_RECORDS)]
    assert verified.returncode == 0, verified.stderr


def _up_to_last_mark(trace: Path) -> list[Any]:
    calls = list(read_trace(trace))
    last = max(index for index, call in enumerate(calls) if call.kind is Kind.MARK)
    assert sum(call.kind is Kind.MARK for call in calls) == _RECORDS
    return calls[: last + 1]


def _await_records(serving: Serving, uri: str, database: str) -> list[str]:
    with MongoClient[dict[str, Any]](uri) as client:
        logs = client[database].logs
        serving.wait_until(lambda: logs.count_documents({}) >= _RECORDS and not _waiting(serving))
        found = sorted(str(document["body"]) for document in logs.find())
        client.drop_database(database)
    return found


def _waiting(serving: Serving) -> bool:
    status, text = serving.get("/metrics")
    lines = [line for line in text.splitlines() if line.startswith("otlp_mongo_exporter_backlog_batches{")]
    return status != 200 or not lines or any(float(line.split()[-1]) for line in lines)
