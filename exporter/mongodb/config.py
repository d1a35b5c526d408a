"""What a user sets about a MongoDB destination, and the driver's options that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from exporter.mongodb.connection_string import given_options

APP_NAME = "otlp-mongo"

_ANSWER_GRACE = timedelta(milliseconds=500)
"""So long the driver waits for an answer that MongoDB should have given: without one it closes the connection."""


@dataclass(frozen=True, slots=True)
class MongoConfig:
    """A MongoDB that telemetry goes to. Options that the URI gives win over these."""

    name: str
    """What it is called in logs and metrics: `local`, `cloud`."""
    uri: str = field(repr=False)
    database: str
    retention: Mapping[str, timedelta | None] = field(default_factory=dict)
    """How long records are kept, by signal name. None: for ever. No entry: as MongoDB has it."""
    metrics_timeseries: bool = False
    """Store metrics in a time-series collection."""
    app_name: str = APP_NAME
    timeout: timedelta = timedelta(seconds=15)
    """For MongoDB to answer one command. Not the driver's `timeoutMS`, which would also take the place of the next."""
    server_selection_timeout: timedelta = timedelta(seconds=1)
    """For finding a primary: short, since what cannot be written now can be buffered, and callers wait meanwhile."""
    connect_timeout: timedelta = timedelta(seconds=3)
    """For one connection, TLS included: a far one takes several round trips."""
    max_pool_size: int = 16
    server_api: str = ""
    """The version of MongoDB's Stable API that commands declare; empty: none."""
    server_api_strict: bool = False
    """Have MongoDB refuse what is not part of that version."""
    between_looks: timedelta = timedelta(seconds=30)
    """Between two looks at collections and indexes, about."""
    inserts_in_flight: int = 2
    """Insert commands under way at most, for each collection. Small calls go together, one insert at a time."""

    def client_options(self) -> dict[str, Any]:
        """The driver's options: those of the URI are left out, so that they hold."""
        options: dict[str, Any] = {
            "appname": self.app_name,
            "socketTimeoutMS": milliseconds(self.timeout + _ANSWER_GRACE),
            "serverSelectionTimeoutMS": milliseconds(self.server_selection_timeout),
            "connectTimeoutMS": milliseconds(self.connect_timeout),
            "maxPoolSize": self.max_pool_size,
            "w": "majority",
            "journal": True,
        }
        given = given_options(self.uri)
        return {key: value for key, value in options.items() if key.lower() not in given}


def milliseconds(duration: timedelta) -> int:
    return int(duration / timedelta(milliseconds=1))
