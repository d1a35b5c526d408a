"""Fixtures that all tests share: a real MongoDB, a database of the test's own, a guard against blocking the loop."""

from __future__ import annotations

import asyncio
import gc
import os
import uuid
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from blockbuster import blockbuster_ctx
from pymongo import AsyncMongoClient, MongoClient
from pymongo.asynchronous.database import AsyncDatabase

from sidecar.embedded import EmbeddedMongodError, find_mongod
from tests.disk.library import library_for_tests
from tests.mongod import running

pytest_plugins = ["tests.limits"]


@pytest.fixture(scope="session", autouse=True)
def _no_blocking_calls() -> Iterator[None]:
    """A call of ours that blocks a running event loop raises `BlockingError`."""
    with blockbuster_ctx(["exporter", "receiver", "sidecar"]) as guard:
        # Log lines go to stderr, which is a pipe or a file here and a pipe to the container runtime there.
        guard.functions["io.TextIOWrapper.write"].can_block_in("structlog/_output.py", {"msg"})
        guard.functions["io.TextIOWrapper.write"].can_block_in("logging/__init__.py", {"emit"})
        guard.functions["io.BufferedWriter.write"].can_block_in("logging/__init__.py", {"emit"})
        # Imports happen once.
        for name in ("os.stat", "os.scandir", "io.BufferedReader.read", "io.TextIOWrapper.read", "os.listdir"):
            guard.functions[name].can_block_in("<frozen importlib._bootstrap>", {"_find_and_load"})
        # Tests that set up no logging get structlog's tracebacks with source lines.
        guard.functions["os.stat"].can_block_in("structlog/dev.py", "__call__")
        # A new client of PyMongo looks once whether it is in a container.
        guard.functions["os.stat"].can_block_in("pymongo/pool_options.py", "__init__")
        yield


@pytest.fixture(scope="session", autouse=True)
def _grpc_poller() -> None:
    """Keep gRPC's poller thread: when its last user is collected, it is joined, on whatever loop runs just then."""

    async def start() -> None:
        grpc.aio.init_grpc_aio()  # type: ignore[attr-defined] # the stubs lack it

    asyncio.run(start())  # it wants a running loop, any


@pytest.fixture(scope="session")
def mongodb_uri() -> Iterator[str]:
    """A real MongoDB: `MONGODB_URI`, else the embedded mongod (one for each worker), else a container."""
    if uri := os.environ.get("MONGODB_URI"):
        yield uri
        return
    try:
        binary = find_mongod()
    except EmbeddedMongodError as error:
        with _mongod_container(str(error)) as uri:
            yield uri
    else:
        try:
            with running(binary) as uri:
                yield uri
        except EmbeddedMongodError as error:
            _without_mongodb(str(error))


@pytest.fixture(scope="session")
def disk_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a program is started with so that its work on the disk is written down, or fails (`tests.disk`)."""
    return library_for_tests(tmp_path_factory.mktemp("disk-library"))


@pytest.fixture
def short_lived_clients() -> Iterator[None]:
    """For tests that close clients soon after opening them. PyMongo leaves a socket open whose connecting was cut
    off, until it is garbage: a later test would be blamed.
    """
    yield
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()


@pytest.fixture
def database_name() -> str:
    """A name that no other test, worker or run has."""
    return f"test_{uuid.uuid4().hex}"


@pytest.fixture
async def mongodb_client(mongodb_uri: str) -> AsyncIterator[AsyncMongoClient[dict[str, Any]]]:
    async with AsyncMongoClient[dict[str, Any]](mongodb_uri, tz_aware=True, uuidRepresentation="standard") as client:
        yield client


@pytest.fixture
async def database(
    mongodb_client: AsyncMongoClient[dict[str, Any]], database_name: str
) -> AsyncIterator[AsyncDatabase[dict[str, Any]]]:
    """A database of the test's own, dropped after it. UUIDs are `uuid.UUID`, dates are in UTC."""
    yield mongodb_client[database_name]
    await mongodb_client.drop_database(database_name)


@contextmanager
def _mongod_container(why_not_embedded: str) -> Iterator[str]:
    from docker import from_env
    from docker.errors import DockerException
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.waiting_utils import wait_for_logs

    try:
        from_env().ping()
    except DockerException as error:
        _without_mongodb(f"{why_not_embedded}; no Docker either ({error})")
    container = DockerContainer("mongo:8.0").with_command("--replSet otlp-mongo").with_exposed_ports(27017)
    with container:
        wait_for_logs(container, "Waiting for connections", timeout=60)
        uri = (
            f"mongodb://{container.get_container_host_ip()}:{container.get_exposed_port(27017)}/?directConnection=true"
        )
        with MongoClient[dict[str, Any]](uri) as client:
            client.admin.command("replSetInitiate")
        yield uri


def _without_mongodb(reason: str) -> None:
    """A missing MongoDB must not make a green run in CI."""
    message = f"no MongoDB to test with: {reason}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
