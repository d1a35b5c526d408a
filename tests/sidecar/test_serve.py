"""The whole sidecar as a process: started, sent to by the SDK, looked into, stopped."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from sidecar.embedded import MongodNotFound, MongodState, find_mongod
from tests.sidecar.serving import COMMAND, PATIENCE, Serving, send_log, start

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    try:
        find_mongod()
    except MongodNotFound as error:
        pytest.skip(str(error))
    running = start(tmp_path_factory.mktemp("embedded"), "--embedded")
    running.wait_until_ready()
    yield running
    if running.process.poll() is None:
        running.process.kill()
        running.process.wait()


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_demo_over_transport_shows_documents_of_all_signals(embedded: Serving, transport: str) -> None:
    other = "http" if transport == "grpc" else "grpc"
    state = embedded.folder / "data" / "sidecar.json"
    before = state.read_text()
    state.write_text(json.dumps(embedded.state | {other: None}))

    result = embedded.command("demo")
    state.write_text(before)

    assert result.returncode == 0, result.stderr
    assert "10 in spans, 3 in logs, 10 in metrics" in result.stdout
    assert 'status: { code: "ERROR", message: "payment declined" }' in result.stdout
    assert 'body: "payment declined: limit of 400 EUR exceeded by 20.00"' in result.stdout
    assert 'type: "exponentialHistogram"' in result.stdout


def test_healthcheck_of_running_sidecar_exits_0(embedded: Serving) -> None:
    result = embedded.command("healthcheck")

    assert (result.returncode, result.stderr) == (0, "")


def test_readyz_names_each_part(embedded: Serving) -> None:
    status, text = embedded.get("/readyz")

    assert status == 200
    assert set(json.loads(text)["parts"]) == {
        "sidecar",
        "tasks",
        "embedded mongod",
        "retry buffer",
        "local MongoDB",
        "OTLP_MONGO_GRPC_ENDPOINT",
        "OTLP_MONGO_HTTP_ENDPOINT",
    }


def test_metrics_tell_which_transcoder_is_at_work(embedded: Serving) -> None:
    _, text = embedded.get("/metrics")

    assert re.search(r'^otlp_mongo_exporter_transcoder_info\{name="(native|reference)"\} 1\.0$', text, re.MULTILINE)


def test_metrics_have_receiver_exporter_and_process(embedded: Serving) -> None:
    _, text = embedded.get("/metrics")

    assert "otlp_mongo_receiver_" in text
    assert "otlp_mongo_exporter_" in text
    assert "process_cpu_seconds_total" in text


def test_ready_line_names_bound_endpoints_and_store(embedded: Serving) -> None:
    line = next(entry for entry in map(json.loads, embedded.log().splitlines()) if entry["message"] == "ready")

    assert line["grpc"] == embedded.state["grpc"]
    assert not line["http"].endswith(":0")
    assert line["local"].startswith("mongodb://127.0.0.1:")
    assert line["local_database"] == "otel"


def test_second_sidecar_in_same_folder_exits_1_with_one_line(embedded: Serving) -> None:
    result = embedded.command("serve", "--embedded")

    assert result.returncode == 1
    assert "is in use by another sidecar" in result.stderr.splitlines()[-1]


def test_serve_on_port_in_use_exits_1_and_names_setting(embedded: Serving, tmp_path: Path, mongodb_uri: str) -> None:
    second = start(tmp_path, MONGODB_URI=mongodb_uri, OTLP_MONGO_GRPC_ENDPOINT=embedded.state["grpc"])

    exit_code = second.process.wait(PATIENCE)

    assert exit_code == 1
    assert f"otlp-mongo: OTLP_MONGO_GRPC_ENDPOINT: cannot listen on {embedded.state['grpc']}" in second.log()
    assert "Traceback" not in second.log()
    assert not (tmp_path / "data" / "sidecar.json").exists()


def test_check_against_real_mongodb_exits_0(tmp_path: Path, mongodb_uri: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTLP_MONGO_")}
    ports = {f"OTLP_MONGO_{name}_ENDPOINT": "127.0.0.1:0" for name in ("GRPC", "HTTP", "ADMIN")}

    result = subprocess.run(
        [*COMMAND, "check"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment | ports | {"MONGODB_URI": mongodb_uri},
        timeout=50,
    )

    assert result.returncode == 0, result.stdout
    assert "local MongoDB: mongodb://" in result.stdout


def test_init_makes_collections_and_can_be_repeated(tmp_path: Path, mongodb_uri: str, database_name: str) -> None:
    variables = {"MONGODB_URI": mongodb_uri, "MONGODB_DATABASE": database_name, "OTLP_MONGO_RETENTION_SPANS": "7d"}

    def init() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, "init"], capture_output=True, text=True, cwd=tmp_path, env=os.environ | variables, timeout=50
        )

    first, second = init(), init()

    with MongoClient[dict[str, Any]](mongodb_uri) as client:
        collections = set(client[database_name].list_collection_names())
        client.drop_database(database_name)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert {"spans", "logs", "metrics"} <= collections


def test_sigterm_stops_within_grace_with_exit_code_0(embedded: Serving) -> None:
    """The last of this file: it ends the sidecar of the others."""
    mongod = MongodState.read(embedded.folder / "data" / "mongod")
    assert mongod is not None
    started = time.monotonic()

    exit_code = embedded.stop()

    assert exit_code == 0
    assert time.monotonic() - started < 10
    assert not Path(f"/proc/{mongod.pid}").exists()
    assert not (embedded.folder / "data" / "sidecar.json").exists()


def test_sigterm_while_waiting_for_mongodb_exits_0(tmp_path: Path) -> None:
    running = start(tmp_path, MONGODB_URI="mongodb://127.0.0.1:1/", OTLP_MONGO_START_TIMEOUT="5m")
    deadline = time.monotonic() + PATIENCE
    while "transcoder chosen" not in running.log() and time.monotonic() < deadline:
        time.sleep(0.05)

    assert running.stop() == 0


def test_serve_told_to_stop_with_a_drain_delay_still_accepts_then_ends(
    tmp_path: Path, mongodb_uri: str, database_name: str
) -> None:
    running = start(tmp_path, MONGODB_URI=mongodb_uri, MONGODB_DATABASE=database_name, OTLP_MONGO_DRAIN_DELAY="1500ms")
    running.wait_until_ready()
    running.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while running.get("/readyz")[0] != 503:
        assert time.monotonic() < deadline

    answer = send_log(running)
    exit_code = running.process.wait(PATIENCE)

    assert (answer, exit_code) == (200, 0)
    with MongoClient[dict[str, Any]](mongodb_uri) as client:
        stored = client[database_name].logs.count_documents({})
        client.drop_database(database_name)
    assert stored == 1


def test_serve_with_unreachable_mongodb_says_so_and_takes_records_into_the_buffer(tmp_path: Path) -> None:
    running = start(tmp_path, MONGODB_URI="mongodb://app:hunter2@127.0.0.1:1/?serverSelectionTimeoutMS=200")
    running.wait_until_ready()

    answer = send_log(running)
    status = running.command("buffer", "status")
    exit_code = running.stop()
    stopped_status = running.command("buffer", "status", "--json")

    assert answer == 200
    assert "hunter2" not in running.log()
    errors = [entry for entry in map(json.loads, running.log().splitlines()) if entry["level"] == "error"]
    assert any(entry["destination"] == "local" and "127.0.0.1:1" in entry["reason"] for entry in errors)
    assert status.stdout.splitlines()[1].startswith("local")
    assert exit_code == 0
    (destination,) = json.loads(stopped_status.stdout)["destinations"]
    assert destination["backlog"]["records"] == "1"


def test_serve_with_a_data_folder_that_takes_no_state_starts_all_the_same(tmp_path: Path, mongodb_uri: str) -> None:
    (tmp_path / "data" / "sidecar.new").mkdir(parents=True)  # as if the disk were full
    running = start(tmp_path, MONGODB_URI=mongodb_uri)
    deadline = time.monotonic() + PATIENCE
    while '"message":"ready"' not in running.log():
        assert running.process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)

    exit_code = running.stop()

    assert exit_code == 0
    assert "other commands will not find it" in running.log()
