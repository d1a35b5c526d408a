from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest
from dns.resolver import NXDOMAIN, LifetimeTimeout, NoNameservers
from pymongo.errors import (
    AutoReconnect,
    ConfigurationError,
    NetworkTimeout,
    OperationFailure,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
)

from exporter.mongodb.explain import Step, explain, is_about_credentials, where_the_user_is_looked_for


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def _dns(kind: type[Exception], **arguments: Any) -> Exception:
    return _caused(ConfigurationError("no"), kind(**arguments))


def _unselected(text: str) -> Exception:
    return ServerSelectionTimeoutError(text)


@pytest.mark.parametrize(
    ("error", "step", "advice"),
    [
        (_dns(NXDOMAIN), Step.DNS, "mongodb+srv:// takes hosts from the name service"),
        (_dns(LifetimeTimeout, timeout=3, errors=[]), Step.DNS, "name service"),
        (_dns(NoNameservers), Step.DNS, "name service"),
        (_unselected("db:27017: [Errno -2] Name or service not known"), Step.DNS, "spelling"),
        (_caused(AutoReconnect("db:1: x"), socket.gaierror(-3, "x")), Step.DNS, "spelling"),
        (_unselected("db:1: [Errno 111] Connect call failed ('db', 1)"), Step.TCP, "nothing listens"),
        (_unselected("db:1: timed out (configured timeouts: x)"), Step.TCP, "firewall"),
        (_unselected("db:1: connection closed"), Step.TCP, "tls=true"),
        (_unselected("db:1: connection is already closed"), Step.TCP, "tls=true"),
        (NetworkTimeout("db:1: timed out"), Step.TCP, "overloaded"),
        (WaitQueueTimeoutError("no connection"), Step.TCP, "maxPoolSize"),
        (_caused(AutoReconnect("db:1: x"), ssl.SSLError("certificate verify failed")), Step.TLS, "tlsCAFile"),
        (_unselected("db:1: [SSL] certificate verify failed: certificate has expired"), Step.TLS, "renew"),
        (_unselected("[SSL: X] Hostname mismatch, certificate is not valid for 'db'."), Step.TLS, "name"),
        (_unselected("SSL handshake failed: db:1:"), Step.TLS, "no TLS"),
        (AutoReconnect("[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca"), Step.TLS, "tlsCertificateKeyFile"),
        (_unselected("No primary available for writes"), Step.TOPOLOGY, "rs.status()"),
        (_unselected('No replica set members available for replica set name "x"'), Step.TOPOLOGY, "replicaSet"),
        (ConfigurationError("a:1 reports wire version 6, but this version of PyMongo"), Step.TOPOLOGY, "upgrade"),
        (OperationFailure("Authentication failed.", 18), Step.AUTHENTICATION, "authSource"),
        (OperationFailure('Could not find user "x"', 11), Step.AUTHENTICATION, "authSource"),
        (OperationFailure("bad auth : authentication failed", 8000), Step.AUTHENTICATION, "authSource"),
        (OperationFailure("command insert requires authentication", 13), Step.AUTHENTICATION, "into the URI"),
        (OperationFailure("not authorized on otel to execute command", 13), Step.AUTHORISATION, "readWrite"),
        (OperationFailure("The apiVersion parameter is required", 498870), Step.SETTINGS, "OTLP_MONGO_SERVER_API"),
        (OperationFailure("disk full", 14031), Step.OPERATION, ""),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_explain_tells_the_step_that_failed_and_what_to_do(error: Exception, step: Step, advice: str) -> None:
    explanation = explain(error)

    assert explanation.step is step
    assert advice in explanation.advice
    assert "\n" not in str(explanation)
    assert (step is Step.AUTHENTICATION) == ("password" in str(explanation))


@pytest.mark.parametrize(
    ("code", "about"), [(11, True), (18, True), (334, True), (391, True), (13, True), (14031, False)]
)
def test_is_about_credentials_where_others_may_help(code: int, about: bool) -> None:
    assert is_about_credentials(OperationFailure("not authorized", code)) is about


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("mongodb://me:pw@h/otel", True),
        ("mongodb://me:pw@h/otel?authSource=admin", False),
        ("mongodb://me:pw@h/", False),
        ("mongodb://h/otel", False),
    ],
)
def test_where_the_user_is_looked_for_is_told_when_the_uri_names_a_database(uri: str, told: bool) -> None:
    assert bool(where_the_user_is_looked_for(uri)) == told
