"""A link that carries little: what is large gets through in pieces. With a real MongoDB."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from exporter.delivery import DeliveryConfig
from tests.chaos.proxy import Proxy
from tests.exporter.delivery.rig import QUICK, rig

pytestmark = pytest.mark.integration
Database = AsyncDatabase[dict[str, Any]]

_SPEED = 200 << 10
_CONFIG = DeliveryConfig(insert_timeout=1.0, backoff=QUICK)
_TIMEOUT = timedelta(seconds=2)
"""Of a command: all at once would take longer."""


@pytest.mark.timeout(90)
async def test_batch_of_more_than_a_command_may_take_gets_over_a_slow_link_in_pieces(
    tmp_path: Path, mongodb_uri: str, database: Database
) -> None:
    link = Proxy(urlsplit(mongodb_uri).port or 27017)
    await link.start()
    uri = f"mongodb://127.0.0.1:{link.port}/?directConnection=true"
    async with rig(tmp_path, uri, database, _CONFIG, timeout=_TIMEOUT) as setup:
        await setup.send(setup.logs("first"))
        async with link.throttled(_SPEED):
            await setup.send(setup.spans(*(f"{number:01000}" for number in range(1200))))
            await setup.drained(60)
        stored = await database.spans.count_documents({})
    await link.stop()

    assert stored == 1200


@pytest.mark.timeout(90)
async def test_single_document_of_more_than_a_command_may_take_gets_over_a_slow_link(
    tmp_path: Path, mongodb_uri: str, database: Database
) -> None:
    link = Proxy(urlsplit(mongodb_uri).port or 27017)
    await link.start()
    uri = f"mongodb://127.0.0.1:{link.port}/?directConnection=true"
    async with rig(tmp_path, uri, database, _CONFIG, timeout=_TIMEOUT) as setup:
        async with link.throttled(_SPEED):
            await setup.send(setup.logs("x" * (1 << 20)), setup.logs("small"))
            await asyncio.sleep(0)
            await setup.drained(60)
        stored = await database.logs.count_documents({})
    await link.stop()

    assert stored == 2
