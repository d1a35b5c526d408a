import pytest
from pymongo.errors import (
    AutoReconnect,
    ConfigurationError,
    ConnectionFailure,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from exporter.errors import DestinationMisconfigured, DestinationUnavailable
from exporter.mongodb import failures


@pytest.mark.parametrize(
    ("error", "kind", "type_"),
    [
        (OperationFailure("nope", 18), "misconfigured", DestinationMisconfigured),
        (OperationFailure("nope", 13), "misconfigured", DestinationMisconfigured),
        (OperationFailure("full", 14031), "server", DestinationUnavailable),
        (OperationFailure("news", 987654), "server", DestinationUnavailable),
        (OperationFailure("no code"), "server", DestinationUnavailable),
        (ConfigurationError("tls"), "misconfigured", DestinationMisconfigured),
        (NotPrimaryError("stepped down"), "no_primary", DestinationUnavailable),
        (ServerSelectionTimeoutError("none"), "no_primary", DestinationUnavailable),
        (NetworkTimeout("slow"), "timeout", DestinationUnavailable),
        (AutoReconnect("closed"), "network", DestinationUnavailable),
        (ConnectionFailure("refused"), "network", DestinationUnavailable),
        (PyMongoError("other"), "server", DestinationUnavailable),
    ],
)
def test_from_exception_each_type_tells_what_to_do(error: PyMongoError, kind: str, type_: type[Exception]) -> None:
    failure = failures.from_exception(error)

    assert failure.kind == kind
    assert type(failure.error) is type_


@pytest.mark.parametrize(
    ("error", "copy"),
    [
        ({"code": 11000, "keyPattern": {"_id": 1}}, True),
        ({"code": 11000, "keyPattern": {"spanId": 1}, "errmsg": "index: _id_ "}, False),
        ({"code": 11000, "errmsg": "E11000 duplicate key error collection: a.b index: _id_ dup key: {"}, True),
        ({"code": 11000, "errmsg": "E11000 duplicate key error collection: a.b index: by_id dup key: {"}, False),
        ({"code": 121, "keyPattern": {"_id": 1}}, False),
        ({"code": 11000, "errmsg": "E11000 duplicate key error collection: otel.spans"}, None),
        ({"code": 11000, "errmsg": 'pq: duplicate key value violates unique constraint "documents_pkey"'}, None),
        ({"code": 11000, "errmsg": "Duplicate key violation on the requested collection: Index '_id_'"}, None),
        ({"code": 11000, "errmsg": "E11000 duplicate key error collection: spans Failed _id or unique key"}, None),
        ({"code": 11001}, None),
        ({"code": 12582, "keyPattern": {"_id": 1}}, True),
        ({"errmsg": "no code"}, False),
    ],
)
def test_is_copy_only_for_the_index_on_id(error: dict[str, object], copy: bool | None) -> None:
    assert failures.is_copy(error) is copy


def test_shorten_long_message_drops_the_reply_and_cuts() -> None:
    assert failures.shorten("bad, full error: {...}") == "bad"
    assert failures.shorten("refused (configured timeouts: 1ms), Timeout: 3.0s, Topology") == "refused"
    assert len(failures.shorten("x" * 9000)) == 500


@pytest.mark.parametrize(
    ("message", "short"),
    [
        (
            'not authorized on otel to execute command { collMod: "spans", index: { name: "a" }, lsid: { id: 1 },'
            ' $clusterTime: { clusterTime: Timestamp(1, 1), signature: { hash: 1 } }, $db: "o" }',
            "not authorized on otel to execute command collMod",
        ),
        ('failed: { create: "x", lsid: { id: UUID("1") } }', "failed: {…}"),
        ("failed: { a: { b: 1 }, c: 2, $clusterTime: { clusterTime: 1 } } in all", "failed: {…}"),
        ("E11000 duplicate key error dup key: { name: 1 }", "E11000 duplicate key error dup key: { name: 1 }"),
    ],
)
def test_shorten_quoted_command_keeps_its_name_but_no_session_or_signature(message: str, short: str) -> None:
    assert failures.shorten(message) == short
