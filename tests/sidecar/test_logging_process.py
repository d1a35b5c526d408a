"""Log lines of the real process that nobody reads, that cannot be written, that come in floods: no harm is done."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from tests.sidecar.link import Link
from tests.sidecar.serving import PATIENCE, Serving, send_log, start

pytestmark = pytest.mark.integration

_NOBODY = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A small one. Whoever closes an end takes it out of the list."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    yield reader, writer
    for descriptor in (reader, writer):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _metric(serving: Serving, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", serving.get("/metrics")[1], re.MULTILINE)
    assert found, name
    return float(found[1])


def _backlog(serving: Serving) -> float:
    return _metric(serving, r'otlp_mongo_exporter_backlog_records\{destination="local"\}')


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_serve_whose_log_nobody_reads_takes_requests_answers_and_stops(
    tmp_path: Path, mongodb_uri: str, database_name: str, pipe: tuple[int, int], log_format: str
) -> None:
    with start(
        tmp_path,
        stderr=pipe[1],
        MONGODB_URI=mongodb_uri,
        MONGODB_DATABASE=database_name,
        OTLP_MONGO_LOG_LEVEL="debug",
        OTLP_MONGO_LOG_FORMAT=log_format,
    ) as serving:
        serving.wait_until_ready()

        answers = {send_log(serving, str(number)) for number in range(500)}
        alive = serving.get("/healthz")
        started = time.monotonic()
        exit_code = serving.stop()

    assert answers == {200}
    assert alive == (200, "ok\n")
    assert exit_code == 0
    assert time.monotonic() - started < 10
    assert _stored(mongodb_uri, database_name) == 500


@pytest.mark.timeout(180)
def test_serve_whose_log_was_not_read_for_a_while_tells_how_many_lines_are_missing(
    tmp_path: Path, pipe: tuple[int, int]
) -> None:
    reader, writer = pipe
    with start(tmp_path, stderr=writer, MONGODB_URI=_NOBODY, OTLP_MONGO_LOG_LEVEL="debug") as serving:
        os.close(writer)
        serving.wait_until_ready()
        # As fast as one connection goes: 10,000 lines wait for a reader, then they are dropped.
        _flood(serving, lambda: _metric(serving, "otlp_mongo_log_lines_dropped_total") > 100)

        text = b""
        while b"log lines were dropped" not in text:
            text += os.read(reader, 1 << 16)

        line = next(line for line in text.splitlines() if b"log lines were dropped" in line)
        assert json.loads(line)["lines"] > 100
        assert all(json.loads(line) for line in text.splitlines()[:-1])
        os.close(reader)
        assert serving.stop() == 0


def _flood(serving: Serving, enough: Callable[[], bool]) -> None:
    """Requests that each make a line at level debug, many on one connection, until it is enough."""
    host, _, port = serving.state["http"].rpartition(":")
    request = f"POST /v1/logs HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n".encode()
    deadline = time.monotonic() + 4 * PATIENCE  # 10,000 requests, on a machine with other things to do
    while not enough():
        assert time.monotonic() < deadline
        with (
            contextlib.suppress(ConnectionError),  # the server may have had enough of this connection
            socket.create_connection((host, int(port)), timeout=10) as connection,
        ):
            connection.sendall(request * 1000 + request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            while connection.recv(1 << 16):
                pass


def test_second_signal_ends_serve_at_once_though_nobody_reads_its_log(tmp_path: Path, pipe: tuple[int, int]) -> None:
    with start(
        tmp_path,
        stderr=pipe[1],
        MONGODB_URI=_NOBODY,
        OTLP_MONGO_LOG_LEVEL="debug",
        OTLP_MONGO_DRAIN_DELAY="50s",
        OTLP_MONGO_SHUTDOWN_GRACE="55s",
    ) as serving:
        serving.wait_until_ready()
        for _ in range(100):
            send_log(serving)
        serving.process.terminate()
        _wait(lambda: serving.get("/readyz")[0] == 503)

        serving.process.terminate()

        assert serving.process.wait(10) == 1


def test_start_that_fails_ends_though_nobody_reads_its_log(tmp_path: Path, pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    with contextlib.suppress(BlockingIOError):
        while os.write(pipe[1], b"x" * 4096):
            pass
    os.set_blocking(pipe[1], True)

    with start(
        tmp_path, stderr=pipe[1], MONGODB_URI=_NOBODY, OTLP_MONGO_DATA_DIR="/dev/null/no", OTLP_MONGO_LOG_LEVEL="debug"
    ) as serving:
        assert serving.process.wait(20) == 1


@pytest.fixture
def link(mongodb_uri: str) -> Iterator[Link]:
    opened = Link.to(mongodb_uri)
    yield opened
    opened.cut()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _unread() -> int:
    """A full pipe; its reader stays open as long as these tests run."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writer, b"x" * 4096):
            pass
    os.set_blocking(writer, True)
    _READERS.append(reader)
    return writer


def _without_reader() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def _full_device() -> int:
    return os.open("/dev/full", os.O_WRONLY)


_READERS: list[int] = []


@pytest.mark.parametrize("stderr", [_unread, _without_reader, _full_device])
def test_delivery_goes_on_after_an_outage_whatever_becomes_of_the_log(
    tmp_path: Path, link: Link, database_name: str, mongodb_uri: str, stderr: Callable[[], int]
) -> None:
    descriptor = stderr()
    with start(
        tmp_path, stderr=descriptor, MONGODB_URI=link.uri, MONGODB_DATABASE=database_name, OTLP_MONGO_LOG_LEVEL="debug"
    ) as serving:
        os.close(descriptor)
        serving.wait_until_ready()
        send_log(serving)
        link.cut()
        answers = {send_log(serving, str(number)) for number in range(20)}
        _wait(lambda: "unreachable" in serving.get("/readyz")[1])

        link.mend()

        _wait(lambda: _backlog(serving) == 0)
        status, parts = serving.get("/readyz")
        exit_code = serving.stop()

    assert answers == {200}
    assert status == 200
    assert json.loads(parts)["parts"]["tasks"]["state"] == "running"
    assert exit_code == 0
    assert _stored(mongodb_uri, database_name) == 21


def test_log_on_a_disk_that_has_room_again_goes_on_with_the_number_of_missing_lines(
    tmp_path: Path, small_disk: Path, link: Link, database_name: str, mongodb_uri: str
) -> None:
    ballast = small_disk / "ballast"
    log = small_disk / "serve.log"
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with start(
        tmp_path, stderr=descriptor, MONGODB_URI=link.uri, MONGODB_DATABASE=database_name, OTLP_MONGO_LOG_LEVEL="debug"
    ) as serving:
        os.close(descriptor)
        serving.wait_until_ready()
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        link.cut()
        _flood(serving, lambda: _metric(serving, "otlp_mongo_log_lines_dropped_total") > 100)
        answers = {send_log(serving, str(number)) for number in range(20)}
        link.mend()
        _wait(lambda: _backlog(serving) == 0)

        ballast.unlink()

        _wait(lambda: bool(serving.get("/healthz")) and send_log(serving) == 200 and "dropped" in log.read_text())
        exit_code = serving.stop()

    assert answers == {200}
    assert exit_code == 0
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
    assert any(line["message"].startswith("log lines were dropped") and line["lines"] > 100 for line in lines)
    assert "stopped" in [line["message"] for line in lines]
    assert _stored(mongodb_uri, database_name) >= 20


def test_serve_started_without_stderr_keeps_it_out_of_its_files(tmp_path: Path) -> None:
    """The next file that is opened would get its number, and the log."""
    closing = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
    with start(tmp_path, MONGODB_URI=_NOBODY, prefix=closing) as serving:
        serving.wait_until_ready()

        targets = [str(Path(f"/proc/{serving.process.pid}/fd/{number}").readlink()) for number in range(3)]

        assert targets == ["/dev/null"] * 3
        assert send_log(serving) == 200
        assert serving.stop() == 0


def test_flood_of_requests_that_are_none_makes_few_lines(tmp_path: Path) -> None:
    with start(tmp_path, MONGODB_URI=_NOBODY) as serving:
        serving.wait_until_ready()
        for endpoint in ("admin", "http"):
            host, _, port = serving.state[endpoint].rpartition(":")
            for number in range(500):
                with socket.create_connection((host, int(port)), timeout=10) as connection:
                    connection.sendall(f"\x00{number} no HTTP\r\n\r\n".encode())
                    connection.recv(1 << 16)

        exit_code = serving.stop()

    assert exit_code == 0
    assert len(serving.log().splitlines()) < 80
    assert "Traceback" not in serving.log()


def _stored(uri: str, database: str) -> int:
    with MongoClient[dict[str, Any]](uri) as client:
        stored = client[database].logs.count_documents({})
        client.drop_database(database)
    return stored
