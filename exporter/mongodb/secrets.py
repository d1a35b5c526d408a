"""Connection strings and messages without what is secret in them.

Two rules, since a password may be anything, also a single letter, and may have been written without escaping:

- A connection string is cut by its structure. All that stands before its last `@` is hidden, whatever it holds. Behind
  it, only what cannot be secret is shown: hosts that look like hosts, and the options that are known to be public.
- A message is never searched for a short or ordinary password: `***` in the middle of a word would give it away.
  Connection strings, secret options and SASL payloads in it are found by their form, and passwords that cannot be
  part of an ordinary sentence also by themselves.

A user's name is hidden in connection strings. In a server's own message it stays: there it is what people look for.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus

SCHEMES = ("mongodb://", "mongodb+srv://")
HIDDEN = "***"

_PUBLIC_OPTIONS = frozenset(
    """
    appname authmechanism authsource compressors connecttimeoutms directconnection fsync heartbeatfrequencyms journal
    loadbalanced localthresholdms maxconnecting maxidletimems maxpoolsize maxstalenessseconds minpoolsize proxyhost
    proxyport readconcernlevel readpreference readpreferencetags replicaset retryreads retrywrites
    servermonitoringmode serverselectiontimeoutms serverselectiontryonce sockettimeoutms srvallowedhostssuffix
    srvmaxhosts srvservicename ssl timeoutms tls tlsallowinvalidcertificates tlsallowinvalidhostnames tlscafile
    tlscertificatekeyfile tlscrlfile tlsdisablecertificaterevocationcheck tlsdisableocspendpointcheck tlsinsecure
    unicode_decode_error_handler uuidrepresentation w waitqueuetimeoutms wtimeoutms zlibcompressionlevel
    """.split()  # noqa: SIM905 - fifty lines otherwise
)
_SECRET_OPTIONS = frozenset(
    {"authmechanismproperties", "tlscertificatekeyfilepassword", "proxyusername", "proxypassword"}
)
_HOST = re.compile(r"[\w.-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?|%2[Ff][\w.%-]+\.sock")
_PATH = re.compile(r"(/[\w-]*)?")
_VALUE = re.compile(r"[\w.,:/%+-]*")
_PLAIN_VALUE = re.compile(r"true|false|majority|\d{1,9}")
_OPTION_NAME = re.compile(r"[A-Za-z]{1,40}")

_URI_IN_TEXT = re.compile(r"mongodb(?:\+srv)?://[^\s'\"]*[^\s'\".,;:)]")
_ASSIGNMENT = re.compile(
    r"(?i)\b(authMechanismProperties|tlsCertificateKeyFilePassword|proxyPassword|AWS_SESSION_TOKEN|password|pwd)"
    r"(['\"]?\s*[=:]\s*)('[^']*'|\"[^\"]*\"|[^\s&,}]+)"
)
_SASL_PAYLOAD = re.compile(
    r"(?i)\b(payload|jwt)(['\"]?\s*:\s*)(BinData\([^)]*\)|Binary\([^)]*\)|b?'[^']*'|b?\"[^\"]*\"|[^\s,}]+)"
)
_LEAST_LENGTH = 4
_ORDINARY = re.compile(r"[^\W\d_]+|[\d.:]+|.*\s.*", re.DOTALL)
"""A word, a number or address, or several words: what an ordinary message may hold."""


class Parts(NamedTuple):
    """A connection string, cut by its structure. Nothing is decoded."""

    scheme: str
    user_info: str
    """All before the last `@`."""
    has_user_info: bool
    hosts: str
    path: str
    """The database, with the `/` before it."""
    options: str


def cut(uri: str) -> Parts | None:
    """The parts of a connection string; None for text that is none."""
    if not uri.startswith(SCHEMES):
        return None
    scheme, _, rest = uri.partition("://")
    user_info, at, rest = rest.rpartition("@")
    address, _, options = rest.partition("?")
    hosts, slash, path = address.partition("/")
    return Parts(scheme, user_info, bool(at), hosts, slash + path, options)


def options_of(parts: Parts) -> Iterator[tuple[str, str]]:
    """Names and values of the options, as they are written."""
    for assignment in re.split("[&;]", parts.options):
        if assignment:
            name, _, value = assignment.partition("=")
            yield name, value


def is_public(option: str) -> bool:
    """Whether the value of an option may be shown."""
    return option.lower() in _PUBLIC_OPTIONS


def redact(uri: str) -> str:
    """The connection string without user, password and secret options, fit for logs.

    Text that is no connection string is not shown at all: it may be a secret pasted in the wrong place.
    """
    parts = cut(uri)
    if parts is None:
        return f"(hidden, {len(uri)} characters)"
    user = f"{HIDDEN}@" if parts.has_user_info else ""
    hosts = parts.hosts if all(map(_HOST.fullmatch, parts.hosts.split(","))) else "(hidden)"
    path = parts.path if _PATH.fullmatch(parts.path) else f"/{HIDDEN}"
    options = "&".join(_shown_options(parts))
    return f"{parts.scheme}://{user}{hosts}{path}{'?' if options else ''}{options}"


def _shown_options(parts: Parts) -> Iterator[str]:
    """Behind a secret option, what looks like others may be the rest of its value: `&` may stand unescaped in it."""
    behind_secret = False
    for name, value in options_of(parts):
        known = is_public(name)
        if not _OPTION_NAME.fullmatch(name) or (
            behind_secret and name.lower() not in _PUBLIC_OPTIONS | _SECRET_OPTIONS
        ):
            yield HIDDEN
        elif known and (_PLAIN_VALUE if behind_secret else _VALUE).fullmatch(value):
            yield f"{name}={value}"
        else:
            yield f"{name}={HIDDEN}"
        behind_secret |= not known


class Redactor:
    """Hides in messages what only the holder of one connection string may know."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        parts = cut(uri)
        public = redact(uri)
        found = set(_secrets(parts)) if parts else set()
        # The longer first, so that no part of one is left.
        self._secrets = sorted((text for text in found if _is_telling(text, public)), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        text = text.replace(self._uri, redact(self._uri))
        text = _URI_IN_TEXT.sub(lambda found: redact(found[0]), text)
        text = _ASSIGNMENT.sub(rf"\1\2{HIDDEN}", text)
        text = _SASL_PAYLOAD.sub(rf"\1\2{HIDDEN}", text)
        for secret in self._secrets:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
        return text


def _secrets(parts: Parts) -> Iterator[str]:
    """In every spelling in which a message might hold them."""
    user, _, password = parts.user_info.partition(":")
    written = [password, *re.split(r"[@/?#:%\[\]]", password)]
    for name, value in options_of(parts):
        if not is_public(name):
            written.extend((value, value.rpartition(":")[2]))
    for text in written:
        yield from (text, unquote(text), unquote_plus(text))
    plain = f"\0{unquote_plus(user)}\0{unquote_plus(password)}"  # as SASL's PLAIN sends it
    yield base64.b64encode(plain.encode()).decode()


def _is_telling(secret: str, public: str) -> bool:
    """Whether a message that holds this text can hold it only because it is the secret."""
    return len(secret) >= _LEAST_LENGTH and not _ORDINARY.fullmatch(secret) and secret not in public
