from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

from exporter.mongodb import MongoConfig, MongoDestination
from exporter.telemetry import ExporterMetrics

FailPoint = Callable[..., AbstractAsyncContextManager[None]]


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def config(mongodb_uri: str, database_name: str) -> MongoConfig:
    """The app name is the database's: fail points go by it."""
    return MongoConfig("local", mongodb_uri, database_name, app_name=database_name)


@pytest.fixture
async def destination(
    config: MongoConfig, registry: CollectorRegistry, database: AsyncDatabase[dict[str, Any]]
) -> AsyncIterator[MongoDestination]:
    """Connected; without collections and indexes of our making."""
    destination = MongoDestination(config, ExporterMetrics(registry))
    await destination.connect()
    yield destination
    await destination.stop()


@pytest.fixture
def fail_point(mongodb_client: AsyncMongoClient[dict[str, Any]], config: MongoConfig) -> FailPoint:
    """Makes `insert` commands of this test's destination fail (MongoDB's `failCommand`)."""

    @asynccontextmanager
    async def fail(times: int | None = None, command: str = "insert", **data: Any) -> AsyncIterator[None]:
        mode = "alwaysOn" if times is None else {"times": times}
        arguments = {"failCommands": [command], "appName": config.app_name, **data}
        try:
            await mongodb_client.admin.command("configureFailPoint", "failCommand", mode=mode, data=arguments)
        except OperationFailure as error:
            if error.code != 59:  # CommandNotFound
                raise
            pytest.skip("this MongoDB has no fail points (setParameter enableTestCommands)")
        try:
            yield
        finally:
            await mongodb_client.admin.command("configureFailPoint", "failCommand", mode="off")

    return fail
