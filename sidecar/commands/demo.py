"""`otlp-mongo demo`."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import PyMongoError
from pymongo.server_api import ServerApi

from exporter.mongodb import tls_files
from exporter.mongodb.connection_string import given_options
from exporter.mongodb.explain import explain
from exporter.mongodb.secrets import Redactor
from sidecar.addresses import reachable
from sidecar.data_folder import DataFolder, SidecarState
from sidecar.demo.shell import shell_text
from sidecar.embedded.state import MongodState
from sidecar.errors import UserError
from sidecar.settings import Settings, load, redact

if TYPE_CHECKING:
    from sidecar.demo.shop import Telemetry

_NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp")
_TIMEOUT_MILLISECONDS = 5000

Document = dict[str, Any]


class DemoImpossible(UserError):
    """Something that the demo needs is missing."""


def run() -> None:
    """Send the shop's telemetry and show what was stored.

    Raises:
        DemoImpossible: the SDK is not installed, no sidecar runs, or its MongoDB cannot be reached from here.
    """
    _require_sdk()
    settings = load().settings
    state = _running(settings)
    from sidecar.demo import send, shop

    telemetry = shop.make()
    target = send.send(telemetry, grpc_endpoint=_reachable(state.grpc), http_endpoint=_reachable(state.http))
    uri = _mongodb_uri(settings, state)
    api = ServerApi(settings.server_api, strict=settings.server_api_strict) if settings.server_api else None
    try:
        tls_files.check_contents(given_options(uri))
        with MongoClient[Document](
            uri,
            serverSelectionTimeoutMS=_TIMEOUT_MILLISECONDS,
            tz_aware=True,
            uuidRepresentation="standard",
            server_api=api,
        ) as client:
            for line in _show(client[state.database], telemetry, target, uri):
                sys.stdout.write(line + "\n")
    except (PyMongoError, ValueError, OSError) as error:
        reason = explain(error) if isinstance(error, PyMongoError) else error
        text = f"sent, but {redact(uri)} cannot be read from here: {reason}"
        raise DemoImpossible(Redactor(uri)(text)) from None


def _require_sdk() -> None:
    for module in _NEEDED:
        try:
            found = importlib.util.find_spec(module) is not None
        except ModuleNotFoundError:
            found = False
        if not found:
            raise DemoImpossible(
                "the demo needs the OpenTelemetry SDK: install the extra `demo`, as in pip install '.[demo]'"
            )


def _running(settings: Settings) -> SidecarState:
    folder = DataFolder(settings.data_dir)
    if state := folder.running():
        return state
    raise DemoImpossible(
        f"no sidecar runs with the data folder {folder.path}: start one with `otlp-mongo serve --embedded`, "
        "or set OTLP_MONGO_DATA_DIR to the folder of the one that runs"
    )


def _reachable(endpoint: str | None) -> str | None:
    return str(reachable(endpoint)) if endpoint else None


def _mongodb_uri(settings: Settings, state: SidecarState) -> str:
    """From the settings or the embedded mongod's folder: credentials never come over HTTP."""
    if state.embedded:
        if mongod := MongodState.read(DataFolder(settings.data_dir).mongod):
            return mongod.uri
        raise DemoImpossible("sent, but the embedded mongod is not running at the moment: see the sidecar's log")
    if settings.mongodb_uri is None:
        raise DemoImpossible("sent, but MONGODB_URI is not set here, so that the documents cannot be shown")
    return settings.mongodb_uri.get_secret_value()


def _show(database: Database[Document], telemetry: Telemetry, target: str, uri: str) -> Iterator[str]:
    run = {"resource.attributes.service.instance.id": telemetry.run}
    counts = {name: database[name].count_documents(run) for name in ("spans", "logs", "metrics")}
    yield f"Sent a shop's telemetry to {target}; stored in {redact(uri)}, database {database.name}:"
    yield "  " + ", ".join(f"{count} in {name}" for name, count in counts.items())
    trace = {"traceId": telemetry.failed_trace_id}
    yield from _query(
        database, "spans", {**trace, "status.code": "ERROR", "kind": "SERVER"}, "the checkout that failed"
    )
    yield from _query(database, "logs", {**trace, "severityNumber": {"$gte": 17}}, "its error in the log")
    yield from _query(
        database, "metrics", {**run, "metric.name": "shop.cart.value"}, "the value of carts, a histogram of this run"
    )


def _query(database: Database[Document], collection: str, query: Mapping[str, Any], title: str) -> Iterator[str]:
    yield f"\n// {title}\ndb.{collection}.findOne({shell_text(query)})"
    document = database[collection].find_one(query)
    if document is None:
        raise DemoImpossible(f"the sidecar took the telemetry, but {collection} has no such document: see its log")
    yield shell_text(document)
