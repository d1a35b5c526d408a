"""What `check` finds out of a MongoDB: the cases that need no server of their own (tests/secured has those)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pymongo import MongoClient

from exporter.mongodb import MongoConfig
from exporter.mongodb.durability import deployment, weakness
from sidecar.mongodb_check import MongoDBUnfit, examine

pytestmark = [
    pytest.mark.usefixtures("short_lived_clients"),
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]
_PATIENCE = timedelta(seconds=10)


def test_examine_of_unreachable_mongodb_shows_no_secret() -> None:
    config = MongoConfig("local", "mongodb://app:hunter2@127.0.0.1:1/", "otel")

    with pytest.raises(MongoDBUnfit, match="nothing listens there") as raised:
        examine(config, timedelta(seconds=0.1), make_collections=True)

    assert "hunter2" not in str(raised.value)
    assert "Topology" not in str(raised.value)


@pytest.mark.integration
def test_examine_tries_for_real_and_leaves_nothing(mongodb_uri: str, database_name: str) -> None:
    fit = examine(MongoConfig("local", mongodb_uri, database_name), _PATIENCE, make_collections=True)

    assert "were tried in otlp_mongo_check" in fit.found
    assert fit.warnings == ()
    with MongoClient[dict[str, Any]](mongodb_uri) as client:
        assert database_name not in client.list_database_names()


@pytest.mark.parametrize(
    ("hello", "write_concern", "weak"),
    [
        ({"setName": "a", "hosts": "abc"}, {"w": 1, "j": True}, "w=1 in its URI is below the majority (2 of 3"),
        ({"setName": "a", "hosts": "abc"}, {"w": 2, "j": True}, ""),
        ({"setName": "a", "hosts": "abcde"}, {"w": 2, "j": True}, "below the majority (3 of 5"),
        ({"setName": "a", "hosts": "ab", "passives": "c"}, {"w": 1}, "below the majority (2 of 3"),
        ({"setName": "a", "hosts": "ab", "arbiters": "c"}, {"w": 1}, "below the majority (2 of 3"),
        ({"setName": "a", "hosts": "a", "arbiters": "bc"}, {"w": 1}, ""),
        ({"setName": "a", "hosts": "a"}, {"w": 1}, ""),
        ({"setName": "a", "hosts": "abc"}, {"w": "majority", "j": True}, ""),
        ({"setName": "a", "hosts": "abc"}, {"w": "majority", "j": False}, "journal=false in its URI: a crash"),
        ({"setName": "a", "hosts": "abc"}, {"w": "majority", "fsync": True, "j": False}, ""),
        ({"setName": "a", "hosts": "abc"}, {"w": "mytag", "j": True}, ""),
        ({"msg": "isdbgrid"}, {"w": 1, "j": True}, "may be fewer members of a shard"),
        ({"msg": "isdbgrid"}, {"w": "majority", "j": True}, ""),
        ({}, {"w": 1, "j": True}, ""),
        ({}, {"w": 1, "j": False}, "journal=false"),
    ],
    ids=str,
)
def test_weakness_is_told_where_what_is_acknowledged_may_be_lost(
    hello: dict[str, Any], write_concern: dict[str, Any], weak: str
) -> None:
    found = weakness(write_concern, deployment(hello))

    assert weak in found
    assert bool(found) == bool(weak)
