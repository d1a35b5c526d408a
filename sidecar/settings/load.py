"""Reading the settings, and saying in one line each what is wrong with them."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from sidecar.errors import UsageError
from sidecar.settings.model import Settings
from sidecar.settings.rules import violations, warnings
from sidecar.settings.secret_files import SECRETS, SUFFIX, SecretFileError
from sidecar.settings.uri import redact
from sidecar.settings.uri import warnings as uri_warnings

_PREFIX = "OTLP_MONGO_"
_DOTENV = Path(".env")


class SettingsError(UsageError):
    """Settings are wrong. The text has one line for each: which setting, what it got, what it takes."""


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings, and what a person may want to know about how they came to be."""

    settings: Settings
    sources: Mapping[str, str]
    """By the setting's name: `environment`, `.env`, the variable that names its file, or `default`."""
    warnings: tuple[str, ...]


def load() -> LoadedSettings:
    """Read the environment and `.env`.

    Raises:
        SettingsError: one or more settings are wrong.
    """
    layers = _layers()
    try:
        settings = Settings()
    except SecretFileError as error:
        raise SettingsError(f"{error.name}: {error}") from None
    except ValidationError as error:
        raise SettingsError("\n".join(_lines(error, layers))) from None
    if broken := list(violations(settings)):
        raise SettingsError("\n".join(broken))
    sources = {name: _source(name, layers) for name in FIELDS}
    return LoadedSettings(settings, sources, (*_unknown(layers), *_about_uris(settings), *warnings(settings)))


FIELDS: Mapping[str, tuple[str, FieldInfo]] = {
    str(field.validation_alias): (attribute, field) for attribute, field in Settings.model_fields.items()
}
"""By the setting's name: the attribute of `Settings` and its field."""


def takes(field: FieldInfo) -> str:
    """What the setting takes, in words."""
    extra = field.json_schema_extra
    return str(extra["takes"]) if isinstance(extra, dict) else ""


def _layers() -> Mapping[str, Mapping[str, str | None]]:
    try:
        dotenv = dotenv_values(_DOTENV)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f".env: cannot be read ({error})") from None
    return {"environment": os.environ, ".env": dotenv}


def _lines(error: ValidationError, layers: Mapping[str, Mapping[str, str | None]]) -> Iterator[str]:
    for name in dict.fromkeys(str(fault["loc"][0]) for fault in error.errors(include_input=False)):
        yield f"{name}: got {_got(name, layers)}{_reason(error, name)}, takes {takes(FIELDS[name][1])}"


def _reason(error: ValidationError, name: str) -> str:
    """The reason of our own parsers; pydantic's own only repeat what the setting takes."""
    for fault in error.errors(include_input=False):
        if fault["loc"][0] == name and fault["type"] == "value_error":
            return f" ({fault['ctx']['error']})"
    return ""


def _got(name: str, layers: Mapping[str, Mapping[str, str | None]]) -> str:
    for layer in layers.values():
        if name in layer:
            value = layer[name] or ""
            return redact(value) if name in SECRETS else _shown(value)
        if name + SUFFIX in layer and name in SECRETS:
            return f"the content of {_shown(layer[name + SUFFIX] or '')}"
    return "a value from the command line"


def _shown(value: str) -> str:
    """A value that is no secret, unless somebody put one in the wrong place."""
    return redact(value) if "://" in value else repr(value)


def _source(name: str, layers: Mapping[str, Mapping[str, str | None]]) -> str:
    for label, layer in layers.items():
        if name in layer:
            return label
        if name in SECRETS and layer.get(name + SUFFIX):
            return f"{name}{SUFFIX} ({label})"
    return "default"


def _about_uris(settings: Settings) -> Iterator[str]:
    for name in SECRETS:
        uri = getattr(settings, FIELDS[name][0])
        if uri is not None:
            yield from (f"{name}: {warning}" for warning in uri_warnings(uri.get_secret_value()))


def _unknown(layers: Mapping[str, Mapping[str, str | None]]) -> Iterator[str]:
    """A warning for each variable that looks like a setting and is none: most likely misspelt."""
    for name in sorted({name for layer in layers.values() for name in layer if name.startswith(_PREFIX)}):
        if name not in FIELDS:
            near = difflib.get_close_matches(name, FIELDS, n=1, cutoff=0.5)
            hint = f": is {near[0]} meant?" if near else ""
            yield f"{name} is no setting{hint}"
