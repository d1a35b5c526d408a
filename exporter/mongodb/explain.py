"""Why the driver or MongoDB could not do what it was asked, in words: which step failed, and what to do.

A connection goes through steps, and each failure belongs to one: names are resolved, a connection is made, TLS is
agreed on, a server that takes writes is found, the user is authenticated, and may do what is asked. The driver tells
it by chains of exceptions and in the text of its own; MongoDB by codes (`error_codes`).
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from pymongo.errors import (
    ConfigurationError,
    NetworkTimeout,
    OperationFailure,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
)

from exporter.mongodb.connection_string import given_options
from exporter.mongodb.secrets import cut


class Step(StrEnum):
    """Where on its way to MongoDB an operation failed."""

    SETTINGS = "settings"
    DNS = "DNS"
    TCP = "TCP"
    TLS = "TLS"
    TOPOLOGY = "topology"
    AUTHENTICATION = "authentication"
    AUTHORISATION = "authorisation"
    OPERATION = "operation"


class Explanation(NamedTuple):
    """What failed and what to do. Without secrets, but for what a message of the driver or the server may quote."""

    step: Step
    reason: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.reason}; {self.advice}" if self.advice else self.reason


_UNAUTHORISED = 13
_AUTHENTICATION = frozenset(
    {
        11,  # UserNotFound
        18,  # AuthenticationFailed
        334,  # MechanismUnavailable
        391,  # ReauthenticationRequired
    }
)
_API_VERSION = frozenset({322, 323, 324})
"""APIVersionError, APIStrictError, APIDeprecationError (error_codes.yml)."""
_API_PARAMETER_MISSING = 498870
_API_ADVICE = "set OTLP_MONGO_SERVER_API to the version of the Stable API that the server takes"
_ATLAS = 8000
_NO_USER = re.compile(r"requires authentication|not authenticated|no users authenticated", re.IGNORECASE)

_TLS_ADVICE = (
    ("hostname mismatch", "the host name is not in the server's certificate: connect by a name that is in it"),
    ("ip address mismatch", "the address is not in the server's certificate: connect by a name that is in it"),
    ("certificate is not yet valid", "set this machine's clock, or renew the server's certificate"),
    (
        "alert certificate expired",
        "the server says that our certificate has expired: renew that of tlsCertificateKeyFile",
    ),
    (
        "alert unknown ca",
        "the server does not trust our certificate: tlsCertificateKeyFile takes one of an authority it knows",
    ),
    ("alert bad certificate", "the server does not take our certificate: look at tlsCertificateKeyFile"),
    ("alert certificate unknown", "the server does not take our certificate: look at tlsCertificateKeyFile"),
    ("certificate required", "the server asks for a certificate of ours: set tlsCertificateKeyFile"),
    ("alert handshake failure", "the server ends the handshake: it may ask for a certificate (tlsCertificateKeyFile)"),
    ("certificate has expired", "the server's certificate has expired: renew it"),
    ("certificate revoked", "the server's certificate is revoked: renew it"),
    ("unable to get certificate crl", "tlsCRLFile has no list of the authority that issued the server's certificate"),
    (
        "self-signed certificate",
        "the server's certificate is of an authority that is not trusted here: set tlsCAFile to it",
    ),
    (
        "self signed certificate",
        "the server's certificate is of an authority that is not trusted here: set tlsCAFile to it",
    ),
    (
        "unable to get local issuer",
        "the server's certificate is of an authority that is not trusted here: set tlsCAFile to it",
    ),
    ("wrong version number", "what answers there speaks no TLS: take tls=true out, or look at the port"),
    ("record layer failure", "what answers there speaks no TLS: take tls=true out, or look at the port"),
    ("unsupported protocol", "server and driver have no version of TLS in common: upgrade the older one"),
)
_CLOSED = (
    "the server closes the connection: it may ask for TLS (set tls=true), not take our certificate "
    "(tlsCertificateKeyFile), or have too many connections"
)

_APPENDICES = (", full error: ", " (configured timeouts: ", ", Timeout: ")
_COMMAND = re.compile(r"\bcommand:? \{ ?\"?(\w+)\"?:.*", re.DOTALL)
_SESSION = re.compile(r"\b(?:lsid|signature)\b|\$clusterTime")
"""What a quoted command, or a reply, tells of the session and the cluster."""
_LONGEST = 500
"""Characters of a server's message that are kept: some quote the document."""
_DNS_FAILURE = re.compile(r"Name or service not known|name resolution|nodename nor servname|No address associated")
_DNS_ADVICE = "no address was found for its host: look at its spelling and at this machine's name service (DNS)"
_SRV_ADVICE = (
    "mongodb+srv:// takes hosts from the name service (DNS), which gave none: look at the host's spelling and at the "
    "name service, or name the hosts themselves in mongodb://"
)


def explain(error: BaseException) -> Explanation:
    """The explanation of whatever the driver raises."""
    match error:
        case OperationFailure():
            return explain_reply(error.code or 0, _errmsg(error))
        case ConfigurationError():
            return _configuration(error)
        case WaitQueueTimeoutError():
            return Explanation(Step.TCP, f"all connections are in use: {shorten(str(error))}", "raise maxPoolSize")
        case _:
            return _connection(error)


def explain_reply(code: int, message: str) -> Explanation:
    """The explanation of an error that MongoDB answered. `message`: its `errmsg`."""
    text = f"{shorten(message)} (MongoDB error {code})"
    if code in _AUTHENTICATION or (code == _ATLAS and "auth" in message.lower()):
        advice = "look at user, password, authSource and authMechanism"
        return Explanation(Step.AUTHENTICATION, f"authentication failed: {text}", advice)
    if code == _UNAUTHORISED and _NO_USER.search(message):
        advice = "MongoDB asks who is calling: put user and password into the URI"
        return Explanation(Step.AUTHENTICATION, f"nobody is authenticated: {text}", advice)
    if code == _UNAUTHORISED:
        return Explanation(Step.AUTHORISATION, f"the user may not do this: {text}", "grant it the role readWrite")
    if code in _API_VERSION or code == _API_PARAMETER_MISSING or "apiVersion" in message:
        return Explanation(Step.SETTINGS, text, _API_ADVICE)
    return Explanation(Step.OPERATION, text)


def shorten(message: str) -> str:
    """The part of a message that people need.

    PyMongo appends the whole reply, or its whole view of the servers. MongoDB quotes whole commands, with the session's
    id and a signature.
    """
    for appendix in _APPENDICES:
        message = message.partition(appendix)[0]
    message = _COMMAND.sub(r"command \1", message)
    if session := _SESSION.search(message):
        message = message[: max(message.find("{", 0, session.start()), 0)] + "{…}"
    return message if len(message) <= _LONGEST else message[: _LONGEST - 1] + "…"


def _errmsg(error: OperationFailure) -> str:
    details = error.details or {}
    return str(details.get("errmsg") or error)


def _configuration(error: ConfigurationError) -> Explanation:
    cause = error.__cause__
    if cause is not None and type(cause).__module__.startswith("dns."):
        return Explanation(Step.DNS, f"DNS failed: {_one_line(str(cause)) or type(cause).__name__}", _SRV_ADVICE)
    text = _one_line(shorten(str(error)))
    if "wire version" in text:
        return Explanation(
            Step.TOPOLOGY, text, "the server's version and the driver's do not go together: upgrade MongoDB"
        )
    if "SRV" in text or "DNS" in text or "mongodb+srv" in text:
        return Explanation(Step.DNS, text, _SRV_ADVICE)
    return Explanation(Step.SETTINGS, text, "look at the options of its URI")


def _connection(error: BaseException) -> Explanation:
    text = _one_line(shorten(str(error)))
    chain = list(_chain(error))
    lower = text.lower()
    if "apiversion" in lower:
        return Explanation(Step.SETTINGS, text, _API_ADVICE)
    if any(isinstance(cause, socket.gaierror) for cause in chain) or _DNS_FAILURE.search(text):
        return Explanation(Step.DNS, f"DNS failed: {text}", _DNS_ADVICE)
    if "ssl" in lower or any(isinstance(cause, ssl.SSLError | ssl.CertificateError) for cause in chain):
        return Explanation(Step.TLS, f"TLS failed: {text}", _tls_advice(lower))
    if "certificate is not valid for" in lower or "hostname mismatch" in lower:
        return Explanation(Step.TLS, f"TLS failed: {text}", _TLS_ADVICE[0][1])
    if isinstance(error, ServerSelectionTimeoutError):
        return _selection(text)
    if isinstance(error, NetworkTimeout) or "timed out" in lower:
        advice = "look at whether a firewall or an overloaded server is in between"
        return Explanation(Step.TCP, f"no answer in time: {text}", advice)
    return Explanation(Step.TCP, text, _tcp_advice(lower))


def _selection(text: str) -> Explanation:
    """No server was found to write to: for want of a connection, or of a primary."""
    lower = text.lower()
    if "replica set name" in lower:
        return Explanation(Step.TOPOLOGY, text, "replicaSet names another set than the servers are in: correct it")
    if "no primary available" in lower or "no replica set members" in lower or "no servers match" in lower:
        advice = "there is no primary: name all members and the replica set, and look at the set's state (rs.status())"
        return Explanation(Step.TOPOLOGY, text, advice)
    if "no servers found yet" in lower or "timed out" in lower:
        return Explanation(Step.TCP, f"no answer in time: {text}", "look at host, port and firewall")
    return Explanation(Step.TCP, text, _tcp_advice(lower))


def _tcp_advice(lower: str) -> str:
    if "refused" in lower or "connect call failed" in lower:
        return "nothing listens there: look at host and port, and whether MongoDB runs"
    if "connection closed" in lower or "already closed" in lower or "reset by peer" in lower:
        return _CLOSED
    if "message length" in lower or "opcode" in lower:
        return "what answers there is no MongoDB: look at host and port"
    if "unreachable" in lower or "no route" in lower:
        return "there is no way to that host from here: look at the network"
    return "look at host, port and network"


def _tls_advice(lower: str) -> str:
    for part, advice in _TLS_ADVICE:
        if part in lower:
            return advice
    if lower.endswith(":") or "eof occurred" in lower or "reset by peer" in lower:
        return "the server ended the handshake: it may speak no TLS, or ask for a certificate (tlsCertificateKeyFile)"
    return "look at the options tlsCAFile and tlsCertificateKeyFile, and at the server's certificate"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and its causes."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _one_line(text: str) -> str:
    return " ".join(text.split())


def where_the_user_is_looked_for(uri: str) -> str:
    """What to know of an authentication that failed, for a URI that leaves `authSource` to its database; else empty."""
    options, parts = given_options(uri), cut(uri)
    database = parts.path.removeprefix("/") if parts else ""
    if not database or "authsource" in options or "authmechanism" in options or not (parts and parts.has_user_info):
        return ""
    return "the user is looked for in the database that the URI names: if it was made in admin, add authSource=admin"


def is_about_credentials(error: BaseException | None) -> bool:
    """Whether other credentials may help: MongoDB does not know us, or does not let us."""
    return isinstance(error, OperationFailure) and explain(error).step in (Step.AUTHENTICATION, Step.AUTHORISATION)
