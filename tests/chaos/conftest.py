from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sidecar.embedded import EmbeddedMongodError, find_mongod
from tests.chaos.senders import client
from tests.chaos.setup import SETTINGS, Setup
from tests.chaos.world import world


@pytest.fixture(scope="session", autouse=True)
def _mongod_that_may_be_killed() -> None:
    try:
        find_mongod()
    except EmbeddedMongodError as error:
        pytest.skip(f"no mongod that may be killed: {error}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def setup(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Setup]:
    folder = tmp_path_factory.mktemp("faults")
    async with (
        world(folder, cloud_arguments=("--maxConns", "30"), **SETTINGS) as processes,
        client(processes.sidecar.grpc, processes.sidecar.http) as sender,
    ):
        yield Setup(processes, sender)
