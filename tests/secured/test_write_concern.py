"""A write concern below the majority of a real set of three is told: at start, by `check`, `/readyz` and a metric."""

from __future__ import annotations

import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.end_to_end.process import Program
from tests.secured.conftest import Command, environment
from tests.secured.mongod import Mongod

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
_TOLD = "w=1 in its URI is below the majority (2 of 3 members)"


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a replica set of three, without a write concern."""
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(Mongod(tmp_path_factory.mktemp(f"node{number}"), replica_set="three"))
            for number in range(3)
        ]
        members = [{"_id": number, "host": node.address} for number, node in enumerate(nodes)]
        uri = f"mongodb://{','.join(node.address for node in nodes)}/?replicaSet=three"
        deadline = time.monotonic() + 50
        while True:
            try:
                with MongoClient[dict[str, Any]](f"mongodb://{nodes[0].address}/?directConnection=true") as first:
                    first.admin.command("replSetInitiate", {"_id": "three", "members": members})
                break
            except PyMongoError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        with MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=40_000) as client:
            client.admin.command("ping")
        yield uri


def test_serve_w1_on_a_set_of_three_is_told_everywhere(three: str, database_name: str, tmp_path: Path) -> None:
    variables = environment(tmp_path) | {"MONGODB_URI": f"{three}&w=1", "MONGODB_DATABASE": database_name}
    with Program([Path(sys.executable).parent / "otlp-mongo", "serve"], variables, tmp_path) as program:
        warned = program.line(lambda line: line.get("message") == "what is acknowledged may be lost")
        admin = program.line(lambda line: line.get("message") == "ready")["admin"]
        pages = {
            name: urllib.request.urlopen(f"http://{admin}/{name}", timeout=10).read().decode()
            for name in ("readyz", "metrics", "")
        }

    assert warned["level"] == "warning"
    assert _TOLD in warned["reason"]
    assert _TOLD in pages["readyz"]
    assert _TOLD in pages[""]
    assert 'otlp_mongo_exporter_write_concern_below_majority{destination="local"} 1.0' in pages["metrics"]


@pytest.mark.parametrize(("options", "told"), [("&w=1", True), ("&w=2", False), ("", False)])
def test_check_write_concern_below_the_majority_is_warned_of(
    command: Command, three: str, database_name: str, options: str, told: bool
) -> None:
    result = command("check", MONGODB_URI=three + options, MONGODB_DATABASE=database_name)

    assert result.returncode == 0, result.stdout
    assert (f"warning  local MongoDB: {_TOLD}" in result.stdout) == told


def test_check_of_a_secondary_alone_says_that_it_is_one(command: Command, three: str) -> None:
    with MongoClient[dict[str, Any]](three) as client:
        client.admin.command("ping")
        host, port = next(iter(client.secondaries))

    result = command("check", MONGODB_URI=f"mongodb://{host}:{port}/?directConnection=true")

    assert result.returncode == 1
    assert "what answers there is a secondary and takes no writes" in result.stdout
