"""`otlp-mongo check` as a user meets it, against servers that ask for users, TLS or a version of the API."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.server_api import ServerApi

from tests.secured.conftest import Command, verdict
from tests.secured.mongod import ROOT, ROOT_PASSWORD, Mongod

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


def _collections(mongod: Mongod) -> set[str]:
    with mongod.client(f"{ROOT}:{ROOT_PASSWORD}@") as client:
        return set(client.otel.list_collection_names())


def test_check_exactly_read_write_passes_and_leaves_nothing(command: Command, guarded: Mongod) -> None:
    result = command("check", MONGODB_URI=f"mongodb://readwrite:readwrite@{guarded.address}/?replicaSet=guarded")

    assert verdict(result).startswith("ok ")
    assert "were tried in otlp_mongo_check" in verdict(result)
    assert "otlp_mongo_check" not in _collections(guarded)


def test_check_no_user_in_the_uri_fails_and_asks_for_one(command: Command, guarded: Mongod) -> None:
    line = verdict(command("check", MONGODB_URI=f"mongodb://{guarded.address}/?replicaSet=guarded"))

    assert line.startswith("FAILED")
    assert "put user and password into the URI" in line


@pytest.mark.parametrize(
    ("user", "missing"),
    [
        ("reader", "may not insert in otel.spans"),
        ("inserter", "may not find in otel.spans"),
        ("no-logs", "may not find, insert in otel.logs: grant it the role readWrite on the database otel"),
        ("writer", "may not createCollection, createIndex, listIndexes in otel.spans"),
    ],
)
def test_check_missing_privilege_is_named_with_the_role_to_grant(
    command: Command, guarded: Mongod, user: str, missing: str
) -> None:
    line = verdict(command("check", MONGODB_URI=f"mongodb://{user}:{user}@{guarded.address}/?replicaSet=guarded"))

    assert line.startswith("FAILED")
    assert missing in line
    assert "grant it the role readWrite on the database otel" in line


def test_check_without_index_creation_needs_no_create(command: Command, guarded: Mongod) -> None:
    uri = f"mongodb://writer:writer@{guarded.address}/?replicaSet=guarded"

    result = command("check", MONGODB_URI=uri, OTLP_MONGO_CREATE_INDEXES="false")

    assert verdict(result).startswith("ok ")
    assert "warning  local MongoDB: its user may not remove" in result.stdout


@pytest.mark.parametrize("there", [True, False])
def test_check_privileges_on_our_collections_alone_pass_and_change_nothing(
    command: Command, guarded: Mongod, there: bool
) -> None:
    with mongod_root(guarded) as client:
        client.drop_database("otel")
        if there:
            for name in ("spans", "logs", "metrics", "dead_letters"):
                client.otel.create_collection(name)
    before = _collections(guarded)

    line = verdict(command("check", MONGODB_URI=f"mongodb://four:four@{guarded.address}/?replicaSet=guarded"))

    assert line.startswith("ok ")
    assert "tried there what changes nothing" in line
    assert _collections(guarded) == before
    with mongod_root(guarded) as client:
        assert all(client.otel[name].count_documents({}) == 0 for name in before)


def mongod_root(mongod: Mongod) -> MongoClient[dict[str, Any]]:
    return mongod.client(f"{ROOT}:{ROOT_PASSWORD}@")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("w=5", "Not enough data-bearing nodes (MongoDB error 100)"),
        ("w=nosuchtag", "No write concern mode named 'nosuchtag' found"),
        ("readConcernLevel=nonsense", "readConcern.level"),
    ],
)
def test_check_what_the_server_cannot_give_fails_with_its_reason(
    command: Command, guarded: Mongod, options: str, reason: str
) -> None:
    uri = f"mongodb://readwrite:readwrite@{guarded.address}/?replicaSet=guarded&{options}"

    line = verdict(command("check", MONGODB_URI=uri))

    assert line.startswith("FAILED")
    assert reason in line
    assert "otlp_mongo_check" not in _collections(guarded)


def test_check_w0_is_refused_as_a_setting(command: Command, guarded: Mongod) -> None:
    result = command("check", MONGODB_URI=f"mongodb://readwrite:readwrite@{guarded.address}/?w=0")

    assert result.returncode == 2
    assert "its option w is 0" in result.stderr


@pytest.mark.parametrize("where", ["wrong password", "wrong user", "wrong authSource"])
def test_check_credentials_refused_is_about_user_and_password(command: Command, guarded: Mongod, where: str) -> None:
    uri = {
        "wrong password": f"mongodb://readwrite:wrong@{guarded.address}/",
        "wrong user": f"mongodb://nobody:readwrite@{guarded.address}/",
        "wrong authSource": f"mongodb://readwrite:readwrite@{guarded.address}/otel",
    }[where]

    line = verdict(command("check", MONGODB_URI=uri))

    assert "authentication failed" in line
    assert ("authSource=admin" in line) == (where == "wrong authSource")


def test_check_a_view_in_the_place_of_a_collection_is_named(command: Command, guarded: Mongod) -> None:
    with mongod_root(guarded) as client:
        client.seen.create_collection("spans", viewOn="others", pipeline=[])

    uri = f"mongodb://{ROOT}:{ROOT_PASSWORD}@{guarded.address}/?replicaSet=guarded"
    line = verdict(command("check", MONGODB_URI=uri, MONGODB_DATABASE="seen"))

    assert "'spans' is a view" in line


def test_check_documents_of_somebody_else_in_our_collection_stay(command: Command, guarded: Mongod) -> None:
    with mongod_root(guarded) as client:
        client.theirs.otlp_mongo_check.insert_one({"_id": "theirs"})

        uri = f"mongodb://{ROOT}:{ROOT_PASSWORD}@{guarded.address}/?replicaSet=guarded"
        result = command("check", MONGODB_URI=uri, MONGODB_DATABASE="theirs")

        assert verdict(result).startswith("ok ")
        assert "holds documents of somebody else" in result.stdout
        assert [*client.theirs.otlp_mongo_check.find()] == [{"_id": "theirs"}]


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("mongodb://no-such-host.invalid/", "DNS failed"),
        ("mongodb+srv://no-such-host.invalid/", "DNS failed"),
        ("mongodb://127.0.0.1:1/", "nothing listens there"),
        ("mongodb+srv://app:p@ss@no-such-host.invalid/", "percent-encoded"),
    ],
)
def test_check_what_is_not_reached_tells_the_step_and_is_not_about_a_user(
    command: Command, uri: str, reason: str
) -> None:
    result = command("check", MONGODB_URI=uri, OTLP_MONGO_START_TIMEOUT="1s")

    said = result.stdout + result.stderr
    assert reason in said
    assert "Traceback" not in said
    assert "user, password" not in said


@pytest.mark.parametrize(("version", "expected"), [("", "FAILED"), ("1", "ok")])
def test_check_server_that_requires_an_api_version_needs_the_setting(
    command: Command, versioned: Mongod, version: str, expected: str
) -> None:
    line = verdict(command("check", MONGODB_URI=f"mongodb://{versioned.address}/", OTLP_MONGO_SERVER_API=version))

    assert line.startswith(expected)
    assert version or "OTLP_MONGO_SERVER_API" in line


def test_check_strict_api_version_passes(command: Command, versioned: Mongod) -> None:
    strict = {"OTLP_MONGO_SERVER_API": "1", "OTLP_MONGO_SERVER_API_STRICT": "true"}

    assert verdict(command("check", MONGODB_URI=f"mongodb://{versioned.address}/", **strict)).startswith("ok ")


@pytest.mark.parametrize("strict", ["false", "true"])
def test_init_server_that_requires_an_api_version_makes_all_collections(
    command: Command, versioned: Mongod, strict: str, database_name: str
) -> None:
    variables = {
        "OTLP_MONGO_SERVER_API": "1",
        "OTLP_MONGO_SERVER_API_STRICT": strict,
        "MONGODB_DATABASE": database_name,
    }

    result = command("init", MONGODB_URI=f"mongodb://{versioned.address}/", OTLP_MONGO_RETENTION_LOGS="7d", **variables)

    assert result.returncode == 0, result.stderr
    with versioned.client(server_api=ServerApi("1")) as client:
        assert {"spans", "logs", "metrics"} <= set(client[database_name].list_collection_names())


def test_check_two_at_once_both_pass_and_leave_nothing(command: Command, guarded: Mongod) -> None:
    uri = f"mongodb://readwrite:readwrite@{guarded.address}/?replicaSet=guarded"

    with ThreadPoolExecutor() as pool:
        results = [*pool.map(lambda _: command("check", MONGODB_URI=uri), range(2))]

    assert all(verdict(result).startswith("ok ") for result in results)
    assert "otlp_mongo_check" not in _collections(guarded)


def test_check_journal_off_is_warned_of(command: Command, guarded: Mongod) -> None:
    uri = f"mongodb://readwrite:readwrite@{guarded.address}/?replicaSet=guarded&w=1&journal=false"

    result = command("check", MONGODB_URI=uri)

    assert verdict(result).startswith("ok ")
    assert "warning  local MongoDB: journal=false in its URI: a crash" in result.stdout
    assert "w=1" not in result.stdout.partition("warning")[2]  # of one member, one is the majority
