"""Showing the settings: what `otlp-mongo config` prints. Secrets are redacted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import ByteSize, SecretStr

from sidecar.settings.load import FIELDS, LoadedSettings, takes
from sidecar.settings.types import format_bytes, format_duration
from sidecar.settings.uri import redact


@dataclass(frozen=True, slots=True)
class Row:
    """One setting, as text that the setting itself would take (but for what is redacted)."""

    name: str
    value: str
    default: str
    source: str
    description: str
    takes: str


def describe(loaded: LoadedSettings) -> list[Row]:
    """Every setting, in the order of their definition."""
    return [
        Row(
            name=name,
            value=_text(name, getattr(loaded.settings, attribute)),
            default=_text(name, field.default),
            source=loaded.sources[name],
            description=field.description or "",
            takes=takes(field),
        )
        for name, (attribute, field) in FIELDS.items()
    ]


def _text(name: str, value: Any) -> str:
    match value:
        case None:
            return "off" if name.endswith("_ENDPOINT") else ""
        case SecretStr():
            return redact(value.get_secret_value())
        case bool():
            return str(value).lower()
        case timedelta():
            return format_duration(value)
        case ByteSize():
            return format_bytes(value)
        case tuple():
            return ",".join(value)
        case _:
            return str(value)
