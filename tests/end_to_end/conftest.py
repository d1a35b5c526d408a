"""A sidecar as users run it, and what real senders put before it."""

from __future__ import annotations

import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from pymongo import MongoClient
from pymongo.database import Database

# Before their import, so that a failing comparison of documents shows the difference.
pytest.register_assert_rewrite("tests.end_to_end.shop", "tests.end_to_end.sidecar")

from tests.end_to_end.process import Program  # noqa: E402
from tests.end_to_end.sidecar import Sidecar  # noqa: E402

_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def store(mongodb_uri: str) -> Iterator[Database[dict[str, Any]]]:
    """The database that the sidecar stores in; tests tell their documents by the service's name."""
    name = f"test_{uuid.uuid4().hex}"
    with MongoClient[dict[str, Any]](mongodb_uri, tz_aware=True, uuidRepresentation="standard") as client:
        yield client[name]
        client.drop_database(name)


@pytest.fixture(scope="session")
def sidecar(
    mongodb_uri: str, store: Database[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sidecar]:
    """`otlp-mongo serve`, one for all tests of a worker."""
    folder = tmp_path_factory.mktemp("sidecar")
    environment = {
        "MONGODB_URI": mongodb_uri,
        "MONGODB_DATABASE": store.name,
        "OTLP_MONGO_GRPC_ENDPOINT": "127.0.0.1:0",
        "OTLP_MONGO_HTTP_ENDPOINT": "127.0.0.1:0",
        "OTLP_MONGO_ADMIN_ENDPOINT": "127.0.0.1:0",
        "OTLP_MONGO_DATA_DIR": str(folder / "data"),
    }
    with Program([Path(sys.executable).parent / "otlp-mongo", "serve"], environment, folder) as program:
        ready = program.line(lambda line: line.get("message") == "ready")
        yield Sidecar(ready["grpc"], ready["http"], store)
        assert program.stop() == 0


@pytest.fixture
def service() -> str:
    """A name that no other test has."""
    return f"shop-{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def collector_binary() -> Path:
    binary = _ROOT / ".cache/collector/otelcol"
    if not binary.exists():
        _missing("no Collector: make collector")
    return binary


@pytest.fixture(scope="session")
def node_command() -> list[str | Path]:
    node = shutil.which("node")
    folder = Path(__file__).parent / "node"
    if node is None or not (folder / "node_modules").exists():
        _missing("no Node SDK: make node (needs node and npm)")
    return [node, folder / "send.mjs"]


def _missing(reason: str) -> NoReturn:
    """What is missing must not make a green run in CI."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
