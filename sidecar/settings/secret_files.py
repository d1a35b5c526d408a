"""Secrets from files, as Docker and Kubernetes provide them: `MONGODB_URI_FILE` holds the path of `MONGODB_URI`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

SECRETS = ("MONGODB_URI", "MONGODB_CLOUD_URI")
SUFFIX = "_FILE"


class SecretFileError(ValueError):
    """A secret's file cannot be used."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        super().__init__(reason)


class SecretFiles(PydanticBaseSettingsSource):
    """A source of settings: the files that the variables of one layer (environment, `.env`) name."""

    def __init__(self, settings_cls: type[BaseSettings], variables: Mapping[str, str | None]) -> None:
        super().__init__(settings_cls)
        self._variables = variables

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        name = str(field.validation_alias or field_name)
        path = self._variables.get(name + SUFFIX) if name in SECRETS else None
        if not path:
            return None, name, False
        if self._variables.get(name):
            raise SecretFileError(name + SUFFIX, f"got a file though {name} is set too, takes one of the two")
        return _read(name + SUFFIX, Path(path)), name, False

    def __call__(self) -> dict[str, Any]:
        values = {}
        for field_name, field in self.settings_cls.model_fields.items():
            value, name, _ = self.get_field_value(field, field_name)
            if value is not None:
                values[name] = value
        return values


def _read(name: str, path: Path) -> str:
    got = repr(str(path)) if ":/" not in str(path) else "something that is no path (hidden)"
    try:
        text = path.read_text().strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SecretFileError(name, f"got {got} ({reason}), takes the path of a file that can be read") from None
    if not text:
        raise SecretFileError(name, f"got {got}, which is empty, takes the path of a file with the secret in it")
    return text
