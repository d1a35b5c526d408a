"""`otlp-mongo check`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from receiver.endpoint import Endpoint, ReceiverStartError
from sidecar.data_folder import DataFolder
from sidecar.embedded import find_mongod, version
from sidecar.errors import NO_URI, UserError
from sidecar.mongodb_check import examine
from sidecar.settings import Settings, load


@dataclass(frozen=True, slots=True)
class Check:
    """Something to try. `run` returns what it found, and raises UserError or ReceiverStartError when it fails."""

    name: str
    run: Callable[[], str]


def run(*, embedded: bool) -> None:
    """Print one line for each check; exit with 1 when one failed."""
    loaded = load()
    for warning in loaded.warnings:
        sys.stdout.write(f"warning  settings: {warning}\n")
    sys.stdout.write("ok       settings\n")
    failed = [check for check in _checks(loaded.settings, embedded=embedded) if not _passes(check)]
    if failed:
        sys.exit(1)


def _passes(check: Check) -> bool:
    try:
        found = check.run()
    except (UserError, ReceiverStartError) as error:
        sys.stdout.write(f"FAILED   {check.name}: {error}\n")
        return False
    sys.stdout.write(f"ok       {check.name}: {found}\n")
    return True


def _checks(settings: Settings, *, embedded: bool) -> Iterator[Check]:
    yield Check("data folder", partial(_data_folder, settings))
    if embedded:
        yield Check("embedded mongod", _embedded)
    else:
        yield from _mongodb_checks(settings)
    endpoints = {"gRPC": settings.grpc_endpoint, "HTTP": settings.http_endpoint, "admin": settings.admin_endpoint}
    for name, endpoint in endpoints.items():
        if endpoint:
            yield Check(f"{name} endpoint", partial(_bindable, endpoint))


def _data_folder(settings: Settings) -> str:
    folder = DataFolder(settings.data_dir)
    folder.open()
    folder.close()
    return str(folder.path)


def _embedded() -> str:
    binary = find_mongod()
    return version(binary)


def _bindable(endpoint: str) -> str:
    Endpoint.parse(endpoint).claim()
    return endpoint


def _mongodb_checks(settings: Settings) -> Iterator[Check]:
    if settings.mongodb_uri is None:
        yield Check("local MongoDB", _no_uri)
    else:
        yield Check("local MongoDB", partial(examine, settings.mongodb_uri, settings.mongodb_database, settings))
    if settings.cloud_uri is not None:
        database = settings.cloud_database or settings.mongodb_database
        yield Check("cloud MongoDB", partial(examine, settings.cloud_uri, database, settings))


def _no_uri() -> str:
    raise UserError(NO_URI)
