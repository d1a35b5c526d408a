"""Making a fresh mongod the primary of its own one-node replica set."""

from __future__ import annotations

import asyncio
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConnectionFailure, OperationFailure

from sidecar.embedded.process import REPLICA_SET

Client = AsyncMongoClient[dict[str, Any]]

_POLL = 0.02
_NOT_YET_INITIALIZED = 94
_NO_REPLICATION_ENABLED_YET = 76


async def wait_until_primary(port: int, pid: int) -> None:
    """Return once the mongod with this process id, on this port of the loopback interface, takes writes.

    A fresh one is initiated. One whose port has changed since then gets it into its configuration.
    Waits for ever when there is nothing to wait for: the caller watches the process and the clock.
    """
    await _wait_until_listening(port)
    async with Client(host="127.0.0.1", port=port, directConnection=True) as client:
        while not await _is_primary(client.admin, port, pid):  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(_POLL)


async def _wait_until_listening(port: int) -> None:
    """A driver would look only twice a second."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(_POLL)
        else:
            writer.close()
            return


async def _is_primary(admin: AsyncDatabase[dict[str, Any]], port: int, pid: int) -> bool:
    try:
        if (await admin.command("serverStatus"))["pid"] != pid:
            return False  # somebody else's, on a port that ours is about to find taken
        hello = await admin.command("hello")
        if not hello["isWritablePrimary"] and not hello.get("secondary"):
            await _configure(admin, port)
    except ConnectionFailure:
        return False
    return bool(hello["isWritablePrimary"])


async def _configure(admin: AsyncDatabase[dict[str, Any]], port: int) -> None:
    stored = await admin.client.local["system.replset"].find_one()
    host = f"127.0.0.1:{port}"
    if stored is None:
        await _tolerant(admin, {"replSetInitiate": {"_id": REPLICA_SET, "members": [{"_id": 0, "host": host}]}})
    elif stored["members"][0]["host"] != host:
        stored["members"][0]["host"] = host
        stored["version"] += 1
        # Forced, since a node that does not find itself in its configuration has no primary to ask.
        await _tolerant(admin, {"replSetReconfig": stored, "force": True})


async def _tolerant(admin: AsyncDatabase[dict[str, Any]], command: dict[str, Any]) -> None:
    """Run a command that mongod refuses while it is still reading its own configuration; the next round asks again."""
    try:
        await admin.command(command)
    except OperationFailure as error:
        if error.code not in (_NOT_YET_INITIALIZED, _NO_REPLICATION_ENABLED_YET):
            raise
