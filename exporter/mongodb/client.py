"""Making a client of a MongoDB: the one place, so that all that connects does it with the same options."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Sequence
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError
from pymongo.server_api import ServerApi

from exporter.errors import DestinationMisconfigured
from exporter.mongodb import connection_string, tls_files
from exporter.mongodb.config import MongoConfig
from exporter.mongodb.driver_wait import mend_waiting
from exporter.mongodb.secrets import Redactor

Client = AsyncMongoClient[dict[str, Any]]


async def open_client(config: MongoConfig, listeners: Sequence[Any] = ()) -> Client:
    """A client that connects when it is first used.

    Raises:
        DestinationMisconfigured: the URI, one of its options or a file it names cannot be used. Without secrets.
    """
    uri = config.uri
    mend_waiting()
    try:
        await asyncio.to_thread(_check, uri)
        with warnings.catch_warnings(action="ignore"):
            # What it would warn of, the settings have told already.
            client = Client(
                uri, event_listeners=list(listeners), server_api=_server_api(config), **config.client_options()
            )
    except (PyMongoError, ValueError, TypeError, OSError) as error:
        # Without its cause, whose text may hold the password.
        raise DestinationMisconfigured(f"the URI of {config.name!r}: {Redactor(uri)(str(error))}") from None
    if not client.write_concern.acknowledged:
        raise DestinationMisconfigured(f"the URI of {config.name!r} has w=0: a write without an answer may be lost")
    return client


def _check(uri: str) -> None:
    """Reads files. Raises ValueError."""
    connection_string.check(uri)
    tls_files.check_contents(connection_string.given_options(uri))


def _server_api(config: MongoConfig) -> ServerApi | None:
    return ServerApi(config.server_api, strict=config.server_api_strict) if config.server_api else None
