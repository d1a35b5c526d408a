"""Whether a MongoDB can be reached, takes writes and lets us do what we need."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry
from pymongo.errors import PyMongoError

from exporter.errors import DestinationUnavailable
from exporter.mongodb import MongoConfig, MongoDestination
from exporter.mongodb.durability import deployment, weakness
from exporter.mongodb.explain import explain
from exporter.mongodb.secrets import Redactor
from exporter.mongodb.trial import Findings, Trial, Unfit
from exporter.telemetry import ExporterMetrics
from sidecar.errors import UserError
from sidecar.settings import redact

_CLOSE_SECONDS = 1.0
_SILENT = "no answer within OTLP_MONGO_START_TIMEOUT; look at the network, or set a longer time"
_SLOW = (
    "storing could not be tried within OTLP_MONGO_START_TIMEOUT; it is too slow, or too few members are there for the "
    "write concern (w in its URI)"
)
T = TypeVar("T")


class MongoDBUnfit(UserError):
    """A MongoDB that cannot be used as it is. The text has no credentials."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A MongoDB that can be used."""

    found: str
    warnings: tuple[str, ...]


def examine(config: MongoConfig, patience: timedelta, *, make_collections: bool) -> Fit:
    """Connect as the sidecar does, and try what it needs. Nothing is left behind.

    Takes `patience` at most to reach MongoDB, and as long again to try things.

    Raises:
        MongoDBUnfit: records could not be stored there.
    """
    config = replace(config, server_selection_timeout=patience, timeout=min(config.timeout, patience))
    shown = redact(config.uri)
    try:
        return asyncio.run(_examine(config, patience.total_seconds(), shown, make_collections=make_collections))
    except (DestinationUnavailable, Unfit) as error:
        raise MongoDBUnfit(f"{shown}: {Redactor(config.uri)(str(error))}") from None
    except PyMongoError as error:
        raise MongoDBUnfit(f"{shown}: {Redactor(config.uri)(str(explain(error)))}") from None


async def _examine(config: MongoConfig, patience: float, shown: str, *, make_collections: bool) -> Fit:
    destination = MongoDestination(config, ExporterMetrics(CollectorRegistry()))
    try:
        # The driver itself gives up after `patience`, and knows why.
        hello = await _in_time(_reach(destination), patience + _CLOSE_SECONDS, _SILENT)
        trial = Trial(destination.database, destination.insert, make_collections=make_collections)
        findings = await _in_time(trial.run(), patience, _SLOW)
        weak = weakness(destination.write_concern, deployment(hello))
        version = await _in_time(_version(destination), patience, _SILENT)
    finally:
        await destination.stop(timedelta(seconds=_CLOSE_SECONDS))
        await asyncio.sleep(0)  # connections are closed in the loop's next round
    if problems := [*_missing(findings, config.database), *findings.problems]:
        raise Unfit("; ".join(problems))
    warnings = (*findings.warnings, weak) if weak else tuple(findings.warnings)
    found = f"{shown}, MongoDB {version}, {_kind(hello)}, database {config.database}; {findings.tried}"
    return Fit(found, warnings)


async def _reach(destination: MongoDestination) -> Mapping[str, Any]:
    await destination.connect()
    await destination.ping()
    hello: Mapping[str, Any] = await destination.database.client.admin.command("hello")
    if not hello.get("isWritablePrimary"):
        what = "a secondary" if hello.get("secondary") else "no primary"
        raise Unfit(f"what answers there is {what} and takes no writes: name all members, and the replica set")
    return hello


async def _version(destination: MongoDestination) -> str:
    try:
        return str((await destination.database.client.admin.command("buildInfo"))["version"])
    except PyMongoError:
        return "of an unknown version"


async def _in_time(work: Coroutine[Any, Any, T], seconds: float, late: str) -> T:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise Unfit(late) from None


def _missing(findings: Findings, database: str) -> list[str]:
    """Which role to grant. One line for all collections that lack the same."""
    lines = []
    for name, actions in findings.missing.items():
        where = f"{database}.{name}" if name else f"the database {database}"
        lines.append(f"its user may not {', '.join(sorted(actions))} in {where}")
    if lines:
        lines[-1] += f": grant it the role readWrite on the database {database}"
    return lines


def _kind(hello: Mapping[str, Any]) -> str:
    if "setName" in hello:
        return f"replica set {hello['setName']}"
    return "sharded" if hello.get("msg") == "isdbgrid" else "standalone"
