"""What a crash of MongoDB in the middle of inserts leaves behind."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from exporter.errors import DestinationUnavailable
from exporter.interfaces import InsertResult
from exporter.mongodb import MongoConfig, MongoDestination
from exporter.telemetry import ExporterMetrics
from sidecar.embedded import EmbeddedMongod, EmbeddedMongodError, find_mongod
from tests.exporter.mongodb.documents import numbered


@pytest.fixture
def binary() -> Path:
    try:
        return find_mongod()
    except EmbeddedMongodError as error:
        pytest.skip(f"no mongod that may be killed: {error}")


@pytest.mark.integration
async def test_insert_while_mongod_is_killed_loses_nothing_and_stores_nothing_twice(
    binary: Path, tmp_path: Path
) -> None:
    mongod = EmbeddedMongod(tmp_path, binary)
    await mongod.start()
    config = MongoConfig("local", mongod.uri, "otel", server_selection_timeout=timedelta(seconds=0.5))
    destination = MongoDestination(config, ExporterMetrics(CollectorRegistry()))
    await destination.connect()
    await destination.ping()
    await destination.returned()
    assert mongod.pid is not None

    calls = [
        asyncio.create_task(destination.insert("spans", numbered(range(first, first + 500))))
        for first in range(0, 50_000, 500)
    ]
    await calls[10]
    os.kill(mongod.pid, signal.SIGKILL)
    results = await asyncio.gather(*calls, return_exceptions=True)
    acknowledged = [number for number, result in enumerate(results) if isinstance(result, InsertResult)]
    async with asyncio.timeout(30):
        await destination.returned()
    again = await _insert_until_it_works(destination, 50_000)
    await destination.stop()
    await mongod.stop()

    assert 10 < len(acknowledged) < 100
    assert all(isinstance(result, InsertResult | DestinationUnavailable) for result in results)
    assert again.inserted + again.duplicates == 50_000
    assert again.duplicates >= 500 * len(acknowledged)


async def _insert_until_it_works(destination: MongoDestination, count: int) -> InsertResult:
    async with asyncio.timeout(30):
        while True:
            try:
                return await destination.insert("spans", numbered(range(count)))
            except DestinationUnavailable:
                await asyncio.sleep(0.1)
