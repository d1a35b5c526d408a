"""MongoDB connection strings: checking them, and showing them without what is secret."""

from __future__ import annotations

import re
import warnings
from urllib.parse import urlsplit

SCHEMES = ("mongodb://", "mongodb+srv://")

_SECRET_OPTION = re.compile(r"(?i)\b(authMechanismProperties|tlsCertificateKeyFilePassword)=[^&]*")


def redact(uri: str) -> str:
    """The connection string without user, password and secret options, fit for logs.

    Text that is no connection string is not shown at all: it may be a secret pasted in the wrong place.
    """
    if not uri.startswith(SCHEMES):
        return f"(hidden, {len(uri)} characters)"
    scheme, _, rest = uri.partition("://")
    # Up to the last @ before the options: an unescaped / or @ may stand in a password.
    address, question_mark, options = rest.partition("?") if "@" not in rest.partition("?")[2] else (rest, "", "")
    credentials, at, hosts = address.rpartition("@")
    shown = f"***@{hosts}" if at and credentials else hosts
    shown_options = _SECRET_OPTION.sub(r"\1=***", options)
    return f"{scheme}://{shown}{question_mark}{shown_options}"


def check(uri: str) -> str:
    """Return the connection string.

    Raises:
        ValueError: it is none.
    """
    if not uri.startswith(SCHEMES):
        raise ValueError("it does not start with mongodb:// or mongodb+srv://")
    if uri.startswith("mongodb+srv://"):
        # The rest needs the name service, and is found out when connecting.
        if not urlsplit(uri).hostname:
            raise ValueError("it names no host")
        return uri
    from pymongo.errors import PyMongoError
    from pymongo.uri_parser import parse_uri

    try:
        # Unknown options are left to the client, which warns of them.
        with warnings.catch_warnings(action="ignore"):
            parse_uri(uri, warn=True)
    except (PyMongoError, ValueError) as error:
        raise ValueError(_without_quotes(str(error))) from None
    return uri


def _without_quotes(text: str) -> str:
    """PyMongo's reason without the parts of the connection string it quotes, which may be secret."""
    return re.sub(r"'[^']*'|\"[^\"]*\"", "…", text).rstrip(".")
