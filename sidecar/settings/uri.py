"""MongoDB connection strings in the settings. Importing the driver takes a while: it is done where there is one."""

from __future__ import annotations

from pydantic import SecretStr


def redact(uri: str) -> str:
    """The connection string without user, password and secret options, fit for logs.

    Text that is no connection string is not shown at all: it may be a secret pasted in the wrong place.
    """
    from exporter.mongodb import secrets

    return secrets.redact(uri)


def check(secret: SecretStr) -> SecretStr:
    """Return the connection string.

    Raises:
        ValueError: what is wrong with it, without what is secret in it.
    """
    from exporter.mongodb import connection_string

    connection_string.check(secret.get_secret_value())
    return secret


def warnings(uri: str) -> tuple[str, ...]:
    """What a valid connection string has that does not do what it seems to, as ends of sentences."""
    from exporter.mongodb import connection_string

    return connection_string.check(uri)
