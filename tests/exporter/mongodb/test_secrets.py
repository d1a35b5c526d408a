from __future__ import annotations

from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.mongodb.connection_string import check
from exporter.mongodb.secrets import Redactor, redact

PASSWORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12) | st.sampled_from(
    [
        "e",
        "o",
        "mongodb",
        "host",
        "27017",
        "127.0.0.1",
        "local",
        "***",
        "@",
        "/",
        ":",
        "%",
        "?",
        "a@b",
        "a/b@c",
        "?w=1&x",
        "#",
    ]
)
MESSAGES = st.sampled_from(
    [
        "127.0.0.1:27017: [Errno 111] Connection refused",
        "Authentication failed. (MongoDB error 18)",
        "the mongodb at host:27017 said: local user not found",
    ]
)
STAND_IN = "Zq7!Zq7!Zq7!"


@pytest.mark.parametrize(
    "text",
    [
        "cannot connect to mongodb://me:p%40ss@host/",
        "cannot connect to mongodb+srv://me:p%40ss@host/?authMechanismProperties=AWS_SESSION_TOKEN:p%40ss",
        "wrong password p@ss",
        "wrong password 'p%40ss'",
        "(p@ss)",
    ],
)
def test_redactor_any_spelling_of_the_password_is_gone(text: str) -> None:
    redact = Redactor("mongodb://me:p%40ss@host/")

    redacted = redact(text)

    assert "p%40ss" not in redacted
    assert "p@ss" not in redacted
    assert "***" in redacted


def test_redactor_without_password_changes_nothing() -> None:
    assert Redactor("mongodb://host:27017/")("cannot connect to host:27017") == "cannot connect to host:27017"


@pytest.mark.parametrize("password", ["e", "or", "refused", "27017", "host", "Connection refused"])
def test_redactor_password_that_may_stand_in_any_message_changes_no_message(password: str) -> None:
    message = "host:27017: Connection refused"

    assert Redactor(f"mongodb://e:{quote_plus(password)}@host:27017/")(message) == message


@pytest.mark.parametrize(
    ("message", "hidden"),
    [
        ("saslStart { mechanism: 'PLAIN', payload: BinData(0, AGFwcABodW50ZXIy) }", "AGFwcABodW50ZXIy"),
        ("{'saslStart': 1, 'payload': b'\\x00app\\x00hunter2'}", "hunter2"),
        ("authMechanismProperties=AWS_SESSION_TOKEN:t0ken is malformed", "t0ken"),
        ("tlsCertificateKeyFilePassword: 'x y'", "x y"),
        ("proxyPassword=hunter2&proxyHost=p", "hunter2"),
        ("{'createUser': 'app', 'pwd': 'hunter2'}", "hunter2"),
    ],
)
def test_redactor_hides_what_is_secret_by_its_form(message: str, hidden: str) -> None:
    assert hidden not in Redactor("mongodb://host/")(message)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("mongodb://h/?proxyHost=p&proxyUsername=me&proxyPassword=x", "mongodb://h/?proxyHost=p&proxyUsername=***&proxyPassword=***"),
        ("mongodb://h/?tlsCertificateKeyFilePassword=a&b=c&w=d&journal=true", "mongodb://h/?tlsCertificateKeyFilePassword=***&***&w=***&journal=true"),
        ("mongodb://h/?unheardOf=x", "mongodb://h/?unheardOf=***"),
        ("mongodb://app:secret", "mongodb://(hidden)"),
        ("mongodb://app:a@b/c?d=e@f,[::1]:27018/x", "mongodb://***@f,[::1]:27018/x"),
        ("MONGODB://app:secret@h", "(hidden, 22 characters)"),
    ],
)  # fmt: skip
def test_redact_shows_only_what_is_known_to_be_public(uri: str, shown: str) -> None:
    assert redact(uri) == shown


def _uri(password: str, *, escaped: bool) -> str:
    return f"mongodb://e:{quote(password, safe='') if escaped else password}@host:27017/otel?w=1"


def _outcome(uri: str) -> str:
    """All that is said of a connection string at the start."""
    try:
        return repr(check(uri))
    except ValueError as error:
        return str(error)


@given(PASSWORDS, st.booleans(), MESSAGES)
@example("e", True, "Authentication failed.")
@example("/", False, "Authentication failed.")
@example("a/b@c:d", False, "x")
def test_output_does_not_depend_on_the_password(password: str, escaped: bool, message: str) -> None:
    """What is shown is what would be shown with another password: so it tells nothing about it."""
    uri = _uri(password, escaped=escaped)
    other = _uri(STAND_IN, escaped=True)

    assert redact(uri) == redact(other)
    assert Redactor(uri)(f"{message} {uri}") == Redactor(other)(f"{message} {other}")


@given(PASSWORDS)
def test_check_of_an_escaped_password_says_nothing_and_of_another_nothing_that_depends_on_it(password: str) -> None:
    faults = {_outcome(_uri(stand_in, escaped=False)) for stand_in in ("a@b", "a:b", "a%zz")}

    assert _outcome(_uri(password, escaped=True)) == "()"
    assert _outcome(_uri(password, escaped=False)) in {"()", *faults}
    assert len(faults) == 1
