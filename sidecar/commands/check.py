"""`otlp-mongo check`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from exporter.buffer import VolumeTooSmall, examine_volume
from exporter.mongodb import MongoConfig
from receiver.endpoint import Endpoint, EndpointInUse, ReceiverStartError
from sidecar import logs
from sidecar.composition import buffer_config, destination_configs
from sidecar.data_folder import DataFolder, DataFolderInUse, SidecarState
from sidecar.embedded import find_mongod, version
from sidecar.errors import NO_URI, UserError
from sidecar.mongodb_check import examine
from sidecar.port_owner import owner_of
from sidecar.settings import Settings, load
from sidecar.settings.rules import warnings
from sidecar.settings.types import format_bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check found."""

    found: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """Something to try. `run` raises UserError or ReceiverStartError when it fails."""

    name: str
    run: Callable[[], Outcome]


def run(*, embedded: bool) -> None:
    """Print one line for each check and each warning; exit with 1 when a check failed.

    Beside a running sidecar, what is in use by that one counts as good.
    """
    loaded = load()
    logs.configure("error", loaded.settings.log_format)
    for warning in (*loaded.warnings, *warnings(loaded.settings)):
        _print("warning", "settings", warning)
    sys.stdout.write("ok       settings\n")
    failed = [check for check in _checks(loaded.settings, embedded=embedded) if not _passes(check)]
    if failed:
        sys.exit(1)


def _passes(check: Check) -> bool:
    try:
        outcome = check.run()
    except (UserError, ReceiverStartError) as error:
        _print("FAILED", check.name, str(error))
        return False
    _print("ok", check.name, outcome.found)
    for warning in outcome.warnings:
        _print("warning", check.name, warning)
    return True


def _print(verdict: str, name: str, text: str) -> None:
    sys.stdout.write(f"{verdict:8} {name}: {text}\n")
    sys.stdout.flush()


def _checks(settings: Settings, *, embedded: bool) -> Iterator[Check]:
    folder = DataFolder(settings.data_dir)
    running = folder.running()
    yield Check("data folder", partial(_data_folder, folder, running))
    yield Check("retry buffer", partial(_buffer, settings, folder))
    if embedded:
        yield Check("embedded mongod", _embedded)
    else:
        yield from _mongodb_checks(settings)
    endpoints = {
        "gRPC": (settings.grpc_endpoint, running and running.grpc),
        "HTTP": (settings.http_endpoint, running and running.http),
        "admin": (settings.admin_endpoint, running and running.admin),
    }
    for name, (endpoint, held) in endpoints.items():
        if endpoint:
            yield Check(f"{name} endpoint", partial(_bindable, endpoint, _used_by(running) if held == endpoint else ""))


def _used_by(running: SidecarState | None) -> str:
    return f"in use by the running sidecar, process {running.pid}" if running else ""


def _data_folder(folder: DataFolder, running: SidecarState | None) -> Outcome:
    if running:
        return Outcome(f"{folder.path}, {_used_by(running)}")
    try:
        folder.open()
    except DataFolderInUse:
        # It has not written yet who it is, or could not.
        return Outcome(f"{folder.path}, in use by a sidecar that is starting")
    folder.close()
    return Outcome(str(folder.path))


def _buffer(settings: Settings, folder: DataFolder) -> Outcome:
    config = buffer_config(settings, folder.buffer)
    try:
        problems = tuple(examine_volume(config))
    except VolumeTooSmall as error:
        raise UserError(f"OTLP_MONGO_DATA_DIR: {error}") from error
    except OSError as error:
        reason = f"cannot look at the volume of {folder.buffer} ({error.strerror})"
        raise UserError(f"OTLP_MONGO_DATA_DIR: {reason}; set a folder you may write") from error
    return Outcome(f"{folder.buffer}, at most {format_bytes(config.max_bytes)}", problems)


def _embedded() -> Outcome:
    binary = find_mongod()
    return Outcome(version(binary))


def _bindable(endpoint: str, used_by: str) -> Outcome:
    """`used_by`: who holds the endpoint with good reason, if anybody does."""
    parsed = Endpoint.parse(endpoint)
    try:
        parsed.claim()
    except EndpointInUse as error:
        if used_by:
            return Outcome(f"{endpoint}, {used_by}")
        owner = "" if parsed.path else owner_of(parsed.port)
        raise EndpointInUse(f"{error} (it is {owner})" if owner else str(error)) from error
    return Outcome(endpoint)


def _mongodb_checks(settings: Settings) -> Iterator[Check]:
    if settings.mongodb_uri is None:
        yield Check("local MongoDB", _no_uri)
        local_uri = ""
    else:
        local_uri = settings.mongodb_uri.get_secret_value()
    for config in destination_configs(settings, local_uri):
        if config.uri:
            yield Check(f"{config.name} MongoDB", partial(_mongodb, config, settings))


def _mongodb(config: MongoConfig, settings: Settings) -> Outcome:
    fit = examine(config, settings.start_timeout, make_collections=settings.create_indexes)
    return Outcome(fit.found, fit.warnings)


def _no_uri() -> Outcome:
    raise UserError(NO_URI)
