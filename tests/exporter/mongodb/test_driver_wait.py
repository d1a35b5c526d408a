from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError, ServerSelectionTimeoutError

from exporter.mongodb.driver_wait import mend_waiting

_NOBODY = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=20&connectTimeoutMS=20"


async def test_operations_cancelled_while_their_time_runs_out_leave_the_client_usable() -> None:
    mend_waiting()
    moments = random.Random(11)
    async with AsyncMongoClient[dict[str, Any]](_NOBODY) as client:
        for _ in range(8):
            pings = [asyncio.create_task(client.admin.command("ping")) for _ in range(20)]
            await asyncio.sleep(0.02 + moments.uniform(-0.002, 0.004))
            for _ in range(2):
                for ping in pings:
                    ping.cancel()
                await asyncio.sleep(0)
            async with asyncio.timeout(5):
                for ping in pings:
                    with suppress(asyncio.CancelledError, PyMongoError):
                        await ping

        async with asyncio.timeout(5):
            with pytest.raises(ServerSelectionTimeoutError):
                await client.admin.command("ping")
