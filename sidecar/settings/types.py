"""The types of settings beyond Python's own. Each parser raises ValueError with the reason."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from sidecar.addresses import LONGEST_UNIX_PATH
from sidecar.settings import uri

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)?")
OFF = "off"
_SHORTEST_RETENTION, _LONGEST_RETENTION = timedelta(minutes=1), timedelta(days=3650)
_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\s\[\]:/]+):(\d{1,5})")
_UNIX = "unix:"
_LONGEST_DATABASE_NAME = 63
_SYSTEM_DATABASES = {"admin", "config", "local"}


def parse_duration(value: object) -> object:
    """`7d`, `36h`, `1.5s`, `250ms`, or seconds without a unit."""
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip())
    if not match:
        raise ValueError("it is no duration")
    return timedelta(seconds=float(match[1]) * _SECONDS[match[2] or "s"])


def parse_retention(value: object) -> object:
    """A duration, or `off`."""
    return OFF if isinstance(value, str) and value.strip().lower() == OFF else parse_duration(value)


def check_retention(value: timedelta | str) -> timedelta | str:
    if isinstance(value, timedelta) and not _SHORTEST_RETENTION <= value <= _LONGEST_RETENTION:
        raise ValueError("it is too short" if value < _SHORTEST_RETENTION else "it is too long")
    return value


def format_duration(value: timedelta) -> str:
    """The duration in the largest unit that divides it."""
    milliseconds = round(value.total_seconds() * 1000)
    if not milliseconds:
        return "0s"
    for unit, seconds in reversed(_SECONDS.items()):
        if milliseconds % round(seconds * 1000) == 0:
            return f"{milliseconds // round(seconds * 1000)}{unit}"
    raise AssertionError("every number of milliseconds is one of milliseconds")


def format_bytes(value: int) -> str:
    """The number of bytes in the largest binary unit that divides it."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value and value % size == 0:
            return f"{value // size}{unit}"
    return f"{value}B"


def parse_endpoint(value: object) -> object:
    """`host:port`, `[IPv6]:port`, `unix:/path`; None for `off` and the empty string."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.lower() in ("", "off"):
        return None
    if text.startswith(_UNIX):
        path = text.removeprefix(_UNIX)
        if not path.startswith("/") or len(path.encode()) > LONGEST_UNIX_PATH:
            raise ValueError("the path of a socket is absolute and at most 107 bytes long")
        return text
    match = _ADDRESS.fullmatch(text)
    if not match or int(match[1]) > 65535:
        raise ValueError("it is no address")
    return text


def parse_auto_endpoint(value: object) -> object:
    """As `parse_endpoint`, or `auto`."""
    return value if value == "auto" else parse_endpoint(value)


def is_loopback(endpoint: str) -> bool:
    """Whether only this machine reaches an endpoint."""
    host = endpoint.rpartition(":")[0].strip("[]")
    return endpoint.startswith(_UNIX) or host == "localhost" or host == "::1" or host.startswith("127.")


def check_database(name: str) -> str:
    """A database name that MongoDB takes on every platform, and that is no system database."""
    if not name or len(name.encode()) > _LONGEST_DATABASE_NAME or set(name) & set('/\\. "$*<>:|?\0'):
        raise ValueError("MongoDB has no such names")
    if name in _SYSTEM_DATABASES:
        raise ValueError("it is a system database")
    return name


def parse_list(value: object) -> object:
    """Items with commas between them."""
    if not isinstance(value, str):
        return value
    return tuple(item.strip() for item in value.split(",") if item.strip())


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Retention = Annotated[timedelta | Literal["off"], BeforeValidator(parse_retention), AfterValidator(check_retention)]
Endpoint = Annotated[str | None, BeforeValidator(parse_endpoint)]
AutoEndpoint = Annotated[str | None, BeforeValidator(parse_auto_endpoint)]
MongoUri = Annotated[SecretStr, AfterValidator(uri.check)]
DatabaseName = Annotated[str, AfterValidator(check_database)]
TextList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(parse_list)]
