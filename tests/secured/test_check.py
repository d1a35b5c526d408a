"""`otlp-mongo check` as a user meets it, against servers that ask for users, TLS or a version of the API."""

from __future__ import annotations

from subprocess import CompletedProcess
from urllib.parse import quote_plus

import pytest

from tests.secured.certificates import PASSPHRASE, Certificates
from tests.secured.conftest import Command
from tests.secured.mongod import ROOT, ROOT_PASSWORD, Mongod

pytestmark = pytest.mark.integration


def _line(result: CompletedProcess[str]) -> str:
    """What was said of the local MongoDB. Nothing else may fail, and nothing be a traceback."""
    lines = [line for line in result.stdout.splitlines() if " local MongoDB: " in line]
    others = [line for line in result.stdout.splitlines() if line.startswith("FAILED") and line not in lines]
    assert not others
    assert "Traceback" not in result.stdout + result.stderr
    assert (result.returncode == 1) == lines[0].startswith("FAILED")
    return lines[0]


def _collections(mongod: Mongod) -> set[str]:
    with mongod.client(f"{ROOT}:{ROOT_PASSWORD}@") as client:
        return set(client.otel.list_collection_names())


def test_check_exactly_read_write_passes_and_leaves_nothing(command: Command, guarded: Mongod) -> None:
    result = command("check", MONGODB_URI=f"mongodb://readwrite:readwrite@{guarded.address}/?replicaSet=guarded")

    assert _line(result).startswith("ok ")
    assert "were tried in otlp_mongo_check" in _line(result)
    assert "otlp_mongo_check" not in _collections(guarded)


def test_check_no_user_in_the_uri_fails_and_asks_for_one(command: Command, guarded: Mongod) -> None:
    line = _line(command("check", MONGODB_URI=f"mongodb://{guarded.address}/?replicaSet=guarded"))

    assert line.startswith("FAILED")
    assert "put user and password into the URI" in line


@pytest.mark.parametrize(
    ("user", "missing"),
    [
        ("reader", "may not insert in otel.spans"),
        ("inserter", "may not find in otel.spans"),
        ("no-logs", "may not find, insert in otel.logs: grant it the role readWrite on the database otel"),
        ("writer", "may not createCollection, createIndex, listIndexes in otel.spans"),
    ],
)
def test_check_missing_privilege_is_named_with_the_role_to_grant(
    command: Command, guarded: Mongod, user: str, missing: str
) -> None:
    line = _line(command("check", MONGODB_URI=f"mongodb://{user}:{user}@{guarded.address}/?replicaSet=guarded"))

    assert line.startswith("FAILED")
    assert missing in line
    assert "grant it the role readWrite on the database otel" in line


def test_check_without_index_creation_needs_no_create(command: Command, guarded: Mongod) -> None:
    uri = f"mongodb://writer:writer@{guarded.address}/?replicaSet=guarded"

    result = command("check", MONGODB_URI=uri, OTLP_MONGO_CREATE_INDEXES="false")

    assert _line(result).startswith("ok ")
    assert "warning  local MongoDB: its user may not remove" in result.stdout


@pytest.mark.parametrize("there", [True, False])
def test_check_privileges_on_our_collections_alone_pass_and_change_nothing(
    command: Command, guarded: Mongod, there: bool
) -> None:
    with mongod_root(guarded) as client:
        client.drop_database("otel")
        if there:
            for name in ("spans", "logs", "metrics", "dead_letters"):
                client.otel.create_collection(name)
    before = _collections(guarded)

    line = _line(command("check", MONGODB_URI=f"mongodb://four:four@{guarded.address}/?replicaSet=guarded"))

    assert line.startswith("ok ")
    assert "tried there what changes nothing" in line
    assert _collections(guarded) == before
    with mongod_root(guarded) as client:
        assert all(client.otel[name].count_documents({}) == 0 for name in before)


def mongod_root(mongod: Mongod):  # type: ignore[no-untyped-def]
    return mongod.client(f"{ROOT}:{ROOT_PASSWORD}@")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("w=5", "Not enough data-bearing nodes (MongoDB error 100)"),
        ("w=nosuchtag", "No write concern mode named 'nosuchtag' found"),
        ("readConcernLevel=nonsense", "readConcern.level"),
    ],
)
def test_check_what_the_server_cannot_give_fails_with_its_reason(
    command: Command, guarded: Mongod, options: str, reason: str
) -> None:
    uri = f"mongodb://readwrite:readwrite@{guarded.address}/?replicaSet=guarded&{options}"

    line = _line(command("check", MONGODB_URI=uri))

    assert line.startswith("FAILED")
    assert reason in line
    assert "otlp_mongo_check" not in _collections(guarded)


def test_check_w0_is_refused_as_a_setting(command: Command, guarded: Mongod) -> None:
    result = command("check", MONGODB_URI=f"mongodb://readwrite:readwrite@{guarded.address}/?w=0")

    assert result.returncode == 2
    assert "its option w is 0" in result.stderr


@pytest.mark.parametrize("where", ["wrong password", "wrong user", "wrong authSource"])
def test_check_credentials_refused_is_about_user_and_password(command: Command, guarded: Mongod, where: str) -> None:
    uri = {
        "wrong password": f"mongodb://readwrite:wrong@{guarded.address}/",
        "wrong user": f"mongodb://nobody:readwrite@{guarded.address}/",
        "wrong authSource": f"mongodb://readwrite:readwrite@{guarded.address}/otel",
    }[where]

    line = _line(command("check", MONGODB_URI=uri))

    assert "authentication failed" in line
    assert ("authSource=admin" in line) == (where == "wrong authSource")


def test_check_a_view_in_the_place_of_a_collection_is_named(command: Command, guarded: Mongod) -> None:
    with mongod_root(guarded) as client:
        client.seen.create_collection("spans", viewOn="others", pipeline=[])

    uri = f"mongodb://{ROOT}:{ROOT_PASSWORD}@{guarded.address}/?replicaSet=guarded"
    line = _line(command("check", MONGODB_URI=uri, MONGODB_DATABASE="seen"))

    assert "'spans' is a view" in line


def test_check_documents_of_somebody_else_in_our_collection_stay(command: Command, guarded: Mongod) -> None:
    with mongod_root(guarded) as client:
        client.theirs.otlp_mongo_check.insert_one({"_id": "theirs"})

        uri = f"mongodb://{ROOT}:{ROOT_PASSWORD}@{guarded.address}/?replicaSet=guarded"
        result = command("check", MONGODB_URI=uri, MONGODB_DATABASE="theirs")

        assert _line(result).startswith("ok ")
        assert "holds documents of somebody else" in result.stdout
        assert [*client.theirs.otlp_mongo_check.find()] == [{"_id": "theirs"}]


def _tls(certificates: Certificates, **options: object) -> str:
    given = {"tlsCAFile": certificates.authority, **options}
    return "tls=true&" + "&".join(f"{name}={quote_plus(str(value))}" for name, value in given.items())


def test_check_tls_with_user_passes(command: Command, encrypted: Mongod, certificates: Certificates) -> None:
    uri = f"mongodb://readwrite:readwrite@{encrypted.address}/?{_tls(certificates)}"

    assert _line(command("check", MONGODB_URI=uri)).startswith("ok ")


@pytest.mark.parametrize("key", ["client", "client_encrypted"])
def test_check_x509_passes(command: Command, encrypted: Mongod, certificates: Certificates, key: str) -> None:
    options: dict[str, object] = {"tlsCertificateKeyFile": getattr(certificates, key)}
    if key == "client_encrypted":
        options["tlsCertificateKeyFilePassword"] = PASSPHRASE
    uri = f"mongodb://{encrypted.address}/?authMechanism=MONGODB-X509&{_tls(certificates, **options)}"

    assert _line(command("check", MONGODB_URI=uri)).startswith("ok ")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "authentication"),
        ({"tlsCAFile": "other_authority"}, "is of an authority that is not trusted here: set tlsCAFile"),
        ({"tlsCAFile": "/nowhere/ca.pem"}, "its option tlsCAFile names '/nowhere/ca.pem', which cannot be read"),
        ({"tlsCAFile": "/etc/passwd"}, "which holds no certificate in PEM form"),
        ({"tlsCRLFile": "/nowhere/crl.pem"}, "its option tlsCRLFile names '/nowhere/crl.pem', which cannot be read"),
        ({"tlsCRLFile": "authority"}, "tlsCRLFile has no list"),
        ({"tlsCertificateKeyFile": "/nowhere/key.pem"}, "its option tlsCertificateKeyFile names '/nowhere/key.pem'"),
        ({"tlsCertificateKeyFile": "without_key"}, "holds no private key"),
        ({"tlsCertificateKeyFile": "mismatched"}, "whose key is not that of its certificate"),
        ({"tlsCertificateKeyFile": "client_encrypted"}, "set tlsCertificateKeyFilePassword to its passphrase"),
        (
            {"tlsCertificateKeyFile": "client_encrypted", "tlsCertificateKeyFilePassword": "wrong"},
            "tlsCertificateKeyFilePassword is not the passphrase",
        ),
        ({"tlsCertificateKeyFile": "client_of_other_authority"}, "tlsCertificateKeyFile"),
    ],
    ids=str,
)
def test_check_tls_that_fails_names_the_option_and_is_not_about_a_user(
    command: Command, encrypted: Mongod, certificates: Certificates, options: dict[str, str], reason: str
) -> None:
    chosen = {name: getattr(certificates, value, value) for name, value in options.items()}

    result = command("check", MONGODB_URI=f"mongodb://{encrypted.address}/?{_tls(certificates, **chosen)}")

    said = result.stdout + result.stderr
    assert result.returncode in (1, 2)
    assert reason in said
    assert "Traceback" not in said
    assert not options or "authSource" not in said


def test_check_without_tls_of_a_server_that_requires_it_says_so(command: Command, encrypted: Mongod) -> None:
    line = _line(command("check", MONGODB_URI=f"mongodb://{encrypted.address}/"))

    assert "it may ask for TLS (set tls=true)" in line


def test_check_host_name_that_the_certificate_lacks_says_so(
    command: Command, encrypted: Mongod, certificates: Certificates
) -> None:
    line = _line(command("check", MONGODB_URI=f"mongodb://localhost:{encrypted.port}/?{_tls(certificates)}"))

    assert "the host name is not in the server's certificate" in line


def test_check_expired_certificate_says_so(command: Command, expired: int, certificates: Certificates) -> None:
    line = _line(command("check", MONGODB_URI=f"mongodb://127.0.0.1:{expired}/?{_tls(certificates)}"))

    assert "the server's certificate has expired: renew it" in line


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("mongodb://no-such-host.invalid/", "DNS failed"),
        ("mongodb+srv://no-such-host.invalid/", "DNS failed"),
        ("mongodb://127.0.0.1:1/", "nothing listens there"),
        ("mongodb+srv://app:p@ss@no-such-host.invalid/", "percent-encoded"),
    ],
)
def test_check_what_is_not_reached_tells_the_step_and_is_not_about_a_user(
    command: Command, uri: str, reason: str
) -> None:
    result = command("check", MONGODB_URI=uri, OTLP_MONGO_START_TIMEOUT="1s")

    said = result.stdout + result.stderr
    assert reason in said
    assert "Traceback" not in said
    assert "user, password" not in said


@pytest.mark.parametrize(("version", "verdict"), [("", "FAILED"), ("1", "ok")])
def test_check_server_that_requires_an_api_version_needs_the_setting(
    command: Command, versioned: Mongod, version: str, verdict: str
) -> None:
    line = _line(command("check", MONGODB_URI=f"mongodb://{versioned.address}/", OTLP_MONGO_SERVER_API=version))

    assert line.startswith(verdict)
    assert version or "OTLP_MONGO_SERVER_API" in line


def test_check_strict_api_version_passes(command: Command, versioned: Mongod) -> None:
    strict = {"OTLP_MONGO_SERVER_API": "1", "OTLP_MONGO_SERVER_API_STRICT": "true"}

    assert _line(command("check", MONGODB_URI=f"mongodb://{versioned.address}/", **strict)).startswith("ok ")


def test_check_journal_off_is_warned_of(command: Command, guarded: Mongod) -> None:
    uri = f"mongodb://readwrite:readwrite@{guarded.address}/?replicaSet=guarded&w=1&journal=false"

    result = command("check", MONGODB_URI=uri)

    assert _line(result).startswith("ok ")
    assert "warning  local MongoDB: journal=false in its URI: a crash" in result.stdout
    assert "w=1" not in result.stdout.partition("warning")[2]  # of one member, one is the majority
