"""Keeps the secrets of a connection string out of messages."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus, urlsplit

_USER_INFO = re.compile(r"(mongodb(?:\+srv)?://)[^/?\s]*@")
_PROPERTIES = re.compile(r"(authMechanismProperties=|tlsCertificateKeyFilePassword=)[^&\s]*", re.IGNORECASE)


class Redactor:
    """Replaces what only the holder of a connection string may know."""

    def __init__(self, uri: str) -> None:
        authority = urlsplit(uri).netloc
        _, _, password = authority.rpartition("@")[0].partition(":")
        # Both spellings, the longer first, so that no part of it is left.
        self._secrets = sorted({password, unquote_plus(password)} - {""}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        text = _USER_INFO.sub(r"\1***@", text)
        text = _PROPERTIES.sub(r"\1***", text)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text
