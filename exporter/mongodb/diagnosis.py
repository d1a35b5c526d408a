"""Why an insert may get no answer from a server that answers otherwise."""

from __future__ import annotations

import asyncio
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError
from pymongo.server_type import SERVER_TYPE

_ASK_SECONDS = 1.0
_BETWEEN = 0.5
"""Seconds between two looks: in this time a healthy majority acknowledges what was written before."""


async def why_no_answer(client: AsyncMongoClient[Any]) -> str:
    """In words; empty when the write concern is not the reason, or nothing answers. Needs no privilege."""
    try:
        async with asyncio.timeout(_ASK_SECONDS):
            written = await _last_write(client, "opTime")
        await asyncio.sleep(_BETWEEN)
        async with asyncio.timeout(_ASK_SECONDS):
            acknowledged = await _last_write(client, "majorityOpTime")
    except (PyMongoError, TimeoutError):
        return ""
    if written is None or acknowledged is None or acknowledged >= written:
        return ""
    servers = client.topology_description.server_descriptions().values()
    gone = sorted(f"{d.address[0]}:{d.address[1]}" for d in servers if d.server_type == SERVER_TYPE.Unknown)
    which = f"the driver cannot reach {', '.join(gone)}" if gone else "a member is down or far behind"
    return f"the primary answers, but no majority of the replica set acknowledges writes (write concern): {which}"


async def _last_write(client: AsyncMongoClient[Any], field: str) -> tuple[int, Any] | None:
    """Term and timestamp, which sort as the writes do; None where there is no replica set."""
    found = (await client.admin.command("hello")).get("lastWrite", {}).get(field)
    return (found["t"], found["ts"]) if found else None
