"""The files that a connection string's TLS options name: looked at before the driver does, to say what is wrong.

The driver explains every fault of a key file as "Private key doesn't match certificate", lets other errors of the
operating system through as they are, and with an encrypted key and no passphrase waits for someone to type one.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

CA_FILE = "tlsCAFile"
KEY_FILE = "tlsCertificateKeyFile"
PASSPHRASE = "tlsCertificateKeyFilePassword"  # noqa: S105 - the name of an option
REVOKED = "tlsCRLFile"


def check_readable(option: str, path: str) -> None:
    """Raises ValueError with the option, the path and what to do when the file cannot be read."""
    try:
        with Path(path).open("rb") as file:
            file.read(1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no path"
        raise ValueError(
            f"its option {option} names {path!r}, which cannot be read ({reason}): name a file that this user may read"
        ) from None


def check_contents(options: Mapping[str, Any]) -> None:
    """Load the files as the driver is going to.

    `options`: by their names in the connection string, in lower case; decoded.

    Raises:
        ValueError: which option's file cannot be used, why, and what to do.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for option in (CA_FILE, REVOKED):
        if path := options.get(option.lower()):
            check_readable(option, path)
            kind = "a certificate" if option == CA_FILE else "a revocation list"
            _load(context, path, f"its option {option} names {path!r}, which holds no {kind[2:]} in PEM form: {{}}")
    if path := options.get(KEY_FILE.lower()):
        check_readable(KEY_FILE, path)
        _load_key(context, path, options.get(PASSPHRASE.lower()))


def _load(context: ssl.SSLContext, path: str, message: str) -> None:
    try:
        context.load_verify_locations(path)
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or str(error)
        raise ValueError(message.format(f"name another file ({reason})")) from None


def _load_key(context: ssl.SSLContext, path: str, passphrase: str | None) -> None:
    """The passphrase is never part of the message."""
    asked = False

    def ask() -> str:
        nonlocal asked
        asked = True
        return passphrase or ""

    names = f"its option {KEY_FILE} names {path!r}"
    content = Path(path).read_bytes()
    if b"PRIVATE KEY-----" not in content:
        raise ValueError(f"{names}, which holds no private key: it takes one file with the certificate and its key")
    if b"BEGIN CERTIFICATE-----" not in content:
        raise ValueError(f"{names}, which holds no certificate: it takes one file with the certificate and its key")
    try:
        context.load_cert_chain(path, None, _callback(ask))
    except (ssl.SSLError, OSError, ValueError) as error:
        if asked and not passphrase:
            raise ValueError(f"{names}, whose key is encrypted: set {PASSPHRASE} to its passphrase") from None
        if asked:
            raise ValueError(
                f"its option {PASSPHRASE} is not the passphrase of the key in {path!r}: set the right one, "
                "percent-encoded"
            ) from None
        if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
            raise ValueError(
                f"{names}, whose key is not that of its certificate: put the two that belong together in it"
            ) from None
        reason = getattr(error, "reason", None) or "it is damaged"
        raise ValueError(f"{names}, which cannot be used ({reason}): make it anew in PEM form") from None


def _callback(ask: Callable[[], str]) -> Callable[[], str]:
    return ask
