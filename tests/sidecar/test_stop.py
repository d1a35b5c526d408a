"""How the real process stops while clients hold on to it in all the ways they can."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from pymongo import MongoClient

from tests.sidecar.link import Link
from tests.sidecar.serving import COMMAND, PATIENCE, Serving, send_log, start

pytestmark = pytest.mark.integration

_NOBODY = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200"
_SOON = 8.0
"""Seconds, of a grace of 25: about one on a machine that has nothing else to do."""

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    with start(tmp_path, MONGODB_URI=_NOBODY) as running:
        running.wait_until_ready()
        yield running


@contextlib.contextmanager
def _channel(serving: Serving) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(serving.state["grpc"], options=[("grpc.enable_http_proxy", 0)]) as channel:
        yield channel


def _address(serving: Serving, name: str) -> tuple[str, int]:
    host, _, port = serving.state[name].rpartition(":")
    return host, int(port)


def _fill(serving: Serving) -> None:
    """Send until it is refused."""
    with contextlib.suppress(urllib.error.HTTPError):
        for _ in range(100):
            send_log(serving, os.urandom(100_000).hex())
        pytest.fail("the buffer has no bound")


def _stops_soon(serving: Serving) -> None:
    started = time.monotonic()
    assert serving.stop() == 0, serving.log()
    assert time.monotonic() - started < _SOON


def test_stop_with_clients_that_hold_on_in_all_ways_is_prompt_and_tells_those_who_watch(serving: Serving) -> None:
    with contextlib.ExitStack() as clients:
        channel = clients.enter_context(_channel(serving))
        watches = [health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest()) for _ in range(3)]
        first = [next(watch).status for watch in watches]
        done = threading.Event()
        clients.callback(done.set)

        def requests() -> Iterator[Any]:
            yield reflection_pb2.ServerReflectionRequest(list_services="")
            done.wait(PATIENCE)

        next(reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(requests()))
        for endpoint, sent in _HELD.values():
            client = clients.enter_context(socket.create_connection(_address(serving, endpoint)))
            client.settimeout(1)
            with contextlib.suppress(TimeoutError):  # what it does not read of the answers keeps it from sending more
                client.sendall(sent)
        assert serving.get("/healthz")[0] == 200

        _stops_soon(serving)

        assert first == [SERVING] * 3
        assert [[answer.status for answer in watch] for watch in watches] == [[NOT_SERVING]] * 3


_HELD = {
    "a body that does not come": (
        "http",
        b"POST /v1/logs HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\nContent-Type: application/json\r\n\r\n",
    ),
    "half a head": ("http", b"POST /v1/logs HTTP/1.1\r\nHost: a"),
    "nothing over HTTP": ("http", b""),
    "nothing over gRPC": ("grpc", b""),
    "no call": ("grpc", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "answers that are not read": ("admin", b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 2000),
    "half a head for the admin": ("admin", b"GET /metrics HTTP/1.1\r\nHost: a"),
}


def test_stop_while_a_command_drains_is_prompt_and_the_command_ends(serving: Serving) -> None:
    send_log(serving)
    with subprocess.Popen(
        [*COMMAND, "buffer", "drain"],
        cwd=serving.folder,
        env=serving.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as drain:
        assert drain.stdout
        assert "1 records left" in drain.stdout.readline()

        _stops_soon(serving)

        assert drain.wait(PATIENCE) == 1
        _, errors = drain.communicate()
        assert errors.startswith("otlp-mongo: ")
        assert "Traceback" not in errors


@pytest.fixture
def link(mongodb_uri: str, database_name: str) -> Iterator[Link]:
    opened = Link.to(mongodb_uri)
    yield opened
    opened.cut()
    with MongoClient[dict[str, Any]](mongodb_uri) as client:
        client.drop_database(database_name)


def test_stop_drains_what_waits_though_a_client_watches(
    tmp_path: Path, link: Link, mongodb_uri: str, database_name: str
) -> None:
    """The store has its time: it needs some over this link."""
    with start(tmp_path, MONGODB_URI=link.uri, MONGODB_DATABASE=database_name) as serving:
        serving.wait_until_ready()
        link.cut()
        for number in range(300):
            send_log(serving, str(number))
        with _channel(serving) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            next(watch)
            link.delay = 0.1
            link.mend()
            serving.wait_until(lambda: "replaying the backlog" in serving.log())

            assert serving.stop() == 0

    with MongoClient[dict[str, Any]](mongodb_uri) as client:
        assert client[database_name].logs.count_documents({}) == 300


def test_health_of_grpc_is_that_of_readyz_through_the_drain_delay(tmp_path: Path) -> None:
    with start(tmp_path, MONGODB_URI=_NOBODY, OTLP_MONGO_DRAIN_DELAY="2s") as serving:
        serving.wait_until_ready()
        with _channel(serving) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=""))
            before = next(watch).status
            serving.process.send_signal(signal.SIGTERM)

            after = next(watch).status
            # It still accepts.
            answer = send_log(serving)
            readyz = serving.get("/readyz")[0]

        assert (before, after) == (SERVING, NOT_SERVING)
        assert (answer, readyz) == (200, 503)
        assert serving.process.wait(PATIENCE) == 0


def test_health_of_grpc_follows_readyz_while_it_runs(tmp_path: Path, link: Link, database_name: str) -> None:
    """Not ready: MongoDB is away and the buffer takes no more."""
    with start(
        tmp_path, MONGODB_URI=link.uri, MONGODB_DATABASE=database_name, OTLP_MONGO_BUFFER_MAX_BYTES="1MiB"
    ) as serving:
        serving.wait_until_ready()
        with _channel(serving) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            told = [next(watch).status]
            link.cut()
            _fill(serving)
            told.append(next(watch).status)
            link.mend()
            told.append(next(watch).status)

        assert told == [SERVING, NOT_SERVING, SERVING]
        assert serving.stop() == 0


def test_stop_though_a_name_is_being_looked_up_is_prompt(tmp_path: Path) -> None:
    """A thread that waits for a name server cannot be ended: the process must not wait for it."""
    slow = (
        "import socket, sys, time\n"
        "look_up = socket.getaddrinfo\n"
        "def slow(host, *arguments, **options):\n"
        "    if host == 'mongodb.example':\n"
        "        time.sleep(60)\n"
        "    return look_up(host, *arguments, **options)\n"
        "socket.getaddrinfo = slow\n"
        "from sidecar.cli import main\n"
        "main()\n"
    )
    with start(tmp_path, MONGODB_URI="mongodb://mongodb.example/", command=(sys.executable, "-c", slow)) as serving:
        serving.wait_until_ready()

        _stops_soon(serving)
