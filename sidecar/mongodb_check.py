"""Whether a MongoDB can be reached, takes writes and lets us do what we need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError

from sidecar.errors import UserError
from sidecar.settings import Settings, redact

_WRITE = frozenset({"find", "insert"})
_CREATE = frozenset({"createCollection", "createIndex", "collMod", "listCollections", "listIndexes"})
_COLLECTIONS = ("spans", "logs", "metrics", "dead_letters")

Document = dict[str, Any]


class MongoDBUnfit(UserError):
    """A MongoDB that cannot be used as it is. The text has no credentials."""


def examine(uri: SecretStr, database: str, settings: Settings) -> str:
    """Connect, and look at the server and at our privileges. Nothing is written. Returns what was found.

    Raises:
        MongoDBUnfit: records could not be stored there.
    """
    text = uri.get_secret_value()
    timeout = round(settings.start_timeout.total_seconds() * 1000)
    try:
        with MongoClient[Document](text, serverSelectionTimeoutMS=timeout, connectTimeoutMS=timeout) as client:
            hello = client.admin.command("hello")
            version = client.server_info()["version"]
            status = client.admin.command({"connectionStatus": 1, "showPrivileges": True})
    except (ConfigurationError, OperationFailure) as error:
        raise MongoDBUnfit(
            f"{redact(text)} refuses us: {_reason(error)}; look at the user, password and authSource"
        ) from error
    except PyMongoError as error:
        raise MongoDBUnfit(f"{redact(text)} cannot be reached: {_reason(error)}") from error
    if not hello.get("isWritablePrimary"):
        raise MongoDBUnfit(
            f"{redact(text)} takes no writes: no primary was found; name all members and the replica set"
        )
    _require_privileges(status["authInfo"], database, settings)
    kind = (
        f"replica set {hello['setName']}"
        if "setName" in hello
        else "sharded"
        if hello.get("msg") == "isdbgrid"
        else "standalone"
    )
    return f"{redact(text)}, MongoDB {version}, {kind}, database {database}"


def _reason(error: PyMongoError) -> str:
    """The part of PyMongo's text that is for people: it goes on with its view of the topology, or the whole reply."""
    details = error.details if isinstance(error, OperationFailure) and error.details else {}
    text = str(details.get("errmsg") or error)
    return text.partition(", full error: ")[0].partition(", Timeout: ")[0].partition(" (configured timeouts: ")[0]


def _require_privileges(auth: Mapping[str, Any], database: str, settings: Settings) -> None:
    if not auth["authenticatedUsers"]:
        return  # no access control: a server that has it lets nobody find out without a user
    needed = _WRITE | (_CREATE if settings.create_indexes else frozenset())
    for collection in _COLLECTIONS:
        if missing := needed - _actions(auth["authenticatedUserPrivileges"], database, collection):
            raise MongoDBUnfit(
                f"its user may not {', '.join(sorted(missing))} in {database}.{collection}: grant it the role "
                f"readWrite on the database {database}"
            )


def _actions(privileges: Iterable[Mapping[str, Any]], database: str, collection: str) -> set[str]:
    """What the user may do with a collection (MongoDB manual, Resource Document)."""
    actions: set[str] = set()
    for privilege in privileges:
        resource = privilege["resource"]
        covers = resource.get("anyResource") or (
            resource.get("db") in ("", database) and resource.get("collection") in ("", collection)
        )
        if covers:
            actions.update(privilege["actions"])
    return actions
