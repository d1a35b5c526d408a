"""MongoDB as a destination: ready BSON documents in, and for each one stored, stored before, or refused for good.

`MongoDestination` is the whole. In it, `GroupCommit` puts calls together, `Inserter` sends them and sorts the answers,
`Collections` makes collections and indexes; `error_codes` is the table of what MongoDB's errors mean.
"""

from exporter.mongodb.config import MongoConfig
from exporter.mongodb.destination import Health, MongoDestination

__all__ = ["Health", "MongoConfig", "MongoDestination"]
