"""MongoDB as a destination: ready BSON documents in, and for each one stored, stored before, or refused for good.

`MongoDestination` is the whole. In it, `GroupCommit` puts calls together, `Inserter` sends them and sorts the answers,
`SetUp` keeps collections and indexes as they should be; `error_codes` is the table of what MongoDB's errors mean, and
`compatible` makes other services' replies into MongoDB's. Connection strings are checked by `connection_string`, shown
by `secrets`, and their failures explained by `explain`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exporter.mongodb.config import MongoConfig
    from exporter.mongodb.destination import Health, MongoDestination

__all__ = ["Health", "MongoConfig", "MongoDestination"]

_HOMES = {
    "Health": "exporter.mongodb.destination",
    "MongoConfig": "exporter.mongodb.config",
    "MongoDestination": "exporter.mongodb.destination",
}


def __getattr__(name: str) -> Any:
    """The driver is imported when it is needed: commands that only show settings start faster without it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
