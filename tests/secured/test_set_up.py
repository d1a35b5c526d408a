"""Collections and indexes with the privileges that users have, on a server that asks for them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo.database import Database

from exporter.mongodb.collections import TTL_INDEX
from tests.secured.conftest import Command
from tests.secured.mongod import ROOT, ROOT_PASSWORD, Mongod

pytestmark = pytest.mark.integration


@pytest.fixture
def store(guarded: Mongod) -> Iterator[Database[dict[str, Any]]]:
    """The database that the users have privileges in, seen by root."""
    with guarded.client(f"{ROOT}:{ROOT_PASSWORD}@") as client:
        client.drop_database("otel")
        yield client["otel"]
        client.drop_database("otel")


def _uri(guarded: Mongod, user: str) -> str:
    return f"mongodb://{user}:{user}@{guarded.address}/?replicaSet=guarded&authSource=admin"


def _expiry(store: Database[dict[str, Any]], name: str) -> int | None:
    seconds: int | None = store[name].index_information().get(TTL_INDEX, {}).get("expireAfterSeconds")
    return seconds


@pytest.mark.timeout(180)  # four processes, one after the other
def test_init_as_readwrite_changes_a_ttl_though_the_role_has_no_collmod(
    command: Command, guarded: Mongod, store: Database[dict[str, Any]]
) -> None:
    uri = _uri(guarded, "readwrite")

    results = [
        command("init", MONGODB_URI=uri, OTLP_MONGO_RETENTION_LOGS=retention) for retention in ("7d", "3d", "", "off")
    ]

    assert [result.returncode for result in results] == [0] * 4, [result.stderr for result in results]
    assert "documents in 'logs' are now kept for 3 days" in results[1].stderr
    assert "no setting asks for it" in results[2].stderr
    assert _expiry(store, "logs") is None


def test_init_as_readwrite_changes_no_time_series_and_says_what_is_needed(
    command: Command, guarded: Mongod, store: Database[dict[str, Any]]
) -> None:
    variables = {"MONGODB_URI": _uri(guarded, "readwrite"), "OTLP_MONGO_METRICS_TIMESERIES": "true"}

    result = command("init", OTLP_MONGO_RETENTION_LOGS="7d", OTLP_MONGO_RETENTION_METRICS="7d", **variables)

    assert result.returncode == 1
    assert "grant the user the action collMod" in result.stderr
    assert _expiry(store, "logs") == 7 * 86_400


def test_init_as_user_who_may_insert_only_names_each_thing_and_shows_no_session(
    command: Command, guarded: Mongod, store: Database[dict[str, Any]]
) -> None:
    result = command("init", MONGODB_URI=_uri(guarded, "inserter"))

    assert result.returncode == 1
    for name in ("spans", "logs", "metrics", "dead_letters"):
        assert f"'{name}'" in result.stderr
    assert "grant the user the role readWrite on the database" in result.stderr
    assert "cannot be reached" not in result.stderr
    assert not re.search(r"lsid|\$clusterTime|signature|UUID\(|Traceback", result.stderr)
