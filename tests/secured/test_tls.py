"""TLS and X.509 as users meet them: what is wrong is named by its option, and never explained as a password."""

from __future__ import annotations

from urllib.parse import quote_plus

import pytest

from tests.secured.certificates import PASSPHRASE, Certificates
from tests.secured.conftest import Command, verdict
from tests.secured.mongod import Mongod

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


def _tls(certificates: Certificates, **options: object) -> str:
    given = {"tlsCAFile": certificates.authority, **options}
    return "tls=true&" + "&".join(f"{name}={quote_plus(str(value))}" for name, value in given.items())


def test_check_tls_with_user_passes(command: Command, encrypted: Mongod, certificates: Certificates) -> None:
    uri = f"mongodb://readwrite:readwrite@{encrypted.address}/?{_tls(certificates)}"

    assert verdict(command("check", MONGODB_URI=uri)).startswith("ok ")


@pytest.mark.parametrize("key", ["client", "client_encrypted"])
def test_check_x509_passes(command: Command, encrypted: Mongod, certificates: Certificates, key: str) -> None:
    options: dict[str, object] = {"tlsCertificateKeyFile": getattr(certificates, key)}
    if key == "client_encrypted":
        options["tlsCertificateKeyFilePassword"] = PASSPHRASE
    uri = f"mongodb://{encrypted.address}/?authMechanism=MONGODB-X509&{_tls(certificates, **options)}"

    assert verdict(command("check", MONGODB_URI=uri)).startswith("ok ")


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


@pytest.mark.parametrize("name", ["serve", "init", "buffer status", "dead-letters list"])
def test_any_command_with_a_wrong_passphrase_has_one_line_that_names_the_option(
    command: Command, certificates: Certificates, name: str
) -> None:
    wrong = {"tlsCertificateKeyFile": certificates.client_encrypted, "tlsCertificateKeyFilePassword": "wr0ng-phrase"}

    result = command(*name.split(), MONGODB_URI=f"mongodb://127.0.0.1:1/?{_tls(certificates, **wrong)}")

    last = result.stderr.splitlines()[-1]
    assert result.returncode in (1, 2)
    assert last.startswith("otlp-mongo: MONGODB_URI: ")
    assert "tlsCertificateKeyFilePassword is not the passphrase" in last
    assert "Traceback" not in result.stderr
    assert "wr0ng" not in result.stdout + result.stderr


def test_check_without_tls_of_a_server_that_requires_it_says_so(command: Command, encrypted: Mongod) -> None:
    line = verdict(command("check", MONGODB_URI=f"mongodb://{encrypted.address}/"))

    assert "it may ask for TLS (set tls=true)" in line


def test_check_host_name_that_the_certificate_lacks_says_so(
    command: Command, encrypted: Mongod, certificates: Certificates
) -> None:
    line = verdict(command("check", MONGODB_URI=f"mongodb://localhost:{encrypted.port}/?{_tls(certificates)}"))

    assert "the host name is not in the server's certificate" in line


def test_check_expired_certificate_says_so(command: Command, expired: int, certificates: Certificates) -> None:
    line = verdict(command("check", MONGODB_URI=f"mongodb://127.0.0.1:{expired}/?{_tls(certificates)}"))

    assert "the server's certificate has expired: renew it" in line
