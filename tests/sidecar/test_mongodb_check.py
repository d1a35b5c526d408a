"""Whether a user may do what is needed, from what MongoDB says of it (MongoDB manual, connectionStatus)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import SecretStr

from sidecar.mongodb_check import MongoDBUnfit, _require_privileges, examine
from sidecar.settings import Settings

_READ_WRITE = ["find", "insert", "createCollection", "createIndex", "collMod", "listCollections", "listIndexes"]


def _auth(resource: Mapping[str, Any], actions: list[str]) -> dict[str, Any]:
    return {
        "authenticatedUsers": [{"user": "app", "db": "admin"}],
        "authenticatedUserPrivileges": [{"resource": resource, "actions": actions}],
    }


@pytest.mark.parametrize(
    "resource",
    [{"db": "otel", "collection": ""}, {"db": "", "collection": ""}, {"anyResource": True}],
)
def test_privileges_that_cover_the_database_suffice(resource: Mapping[str, Any]) -> None:
    _require_privileges(_auth(resource, _READ_WRITE), "otel", Settings())


@pytest.mark.parametrize(
    ("resource", "actions", "missing"),
    [
        ({"db": "other", "collection": ""}, _READ_WRITE, "find, insert"),
        ({"db": "otel", "collection": ""}, ["find"], "insert"),
        ({"db": "otel", "collection": "spans"}, _READ_WRITE, r"otel\.logs"),
        ({"cluster": True}, _READ_WRITE, "insert"),
    ],
)
def test_privileges_that_lack_something_name_it(resource: Mapping[str, Any], actions: list[str], missing: str) -> None:
    with pytest.raises(MongoDBUnfit, match=missing):
        _require_privileges(_auth(resource, actions), "otel", Settings())


def test_privileges_without_index_creation_need_no_create() -> None:
    settings = Settings.model_validate({"OTLP_MONGO_CREATE_INDEXES": False})

    _require_privileges(_auth({"db": "otel", "collection": ""}, ["find", "insert"]), "otel", settings)


def test_examine_of_unreachable_mongodb_shows_no_secret() -> None:
    settings = Settings.model_validate({"OTLP_MONGO_START_TIMEOUT": "100ms"})

    with pytest.raises(MongoDBUnfit, match="cannot be reached") as raised:
        examine(SecretStr("mongodb://app:hunter2@127.0.0.1:1/"), "otel", settings)

    assert "hunter2" not in str(raised.value)
    assert "Topology" not in str(raised.value)
