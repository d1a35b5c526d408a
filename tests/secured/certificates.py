"""Certificates for tests, made by the openssl program: an authority, what it issues, and what goes wrong with those."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSPHRASE = "pass/phrase@1"
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
CLIENT_SUBJECT = "CN=app,OU=clients,O=tests"


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files; those of keys hold the certificate, too."""

    authority: Path
    other_authority: Path
    server: Path
    """For 127.0.0.1, not for localhost."""
    expired: Path
    client: Path
    client_encrypted: Path
    """Its key needs `PASSPHRASE`."""
    client_of_other_authority: Path
    without_key: Path
    mismatched: Path
    """A certificate, and the key of another."""


def make_certificates(folder: Path) -> Certificates:
    if shutil.which("openssl") is None:
        if os.environ.get("CI"):
            pytest.fail("no openssl to make certificates with")
        pytest.skip("no openssl to make certificates with")
    authority, other = _Authority(folder, "authority"), _Authority(folder, "other")
    server = authority.issue("server", "/O=servers/OU=db/CN=127.0.0.1", alternative="IP:127.0.0.1")
    client = authority.issue("client", "/O=tests/OU=clients/CN=app")
    encrypted = folder / "encrypted.pem"
    key = _openssl("ec", "-aes256", "-passout", f"pass:{PASSPHRASE}", "-in", folder / "client.key")
    encrypted.write_bytes(key + (folder / "client.crt").read_bytes())
    mismatched = folder / "mismatched.pem"
    mismatched.write_bytes((folder / "client.crt").read_bytes() + (folder / "server.key").read_bytes())
    return Certificates(
        authority=authority.certificate,
        other_authority=other.certificate,
        server=server,
        expired=authority.issue("expired", "/O=servers/CN=127.0.0.1", alternative="IP:127.0.0.1", days=-1),
        client=client,
        client_encrypted=encrypted,
        client_of_other_authority=other.issue("stranger", "/O=tests/OU=clients/CN=app"),
        without_key=folder / "client.crt",
        mismatched=mismatched,
    )


class _Authority:
    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = folder / f"{name}.key"
        self.certificate = folder / f"{name}.crt"
        subject = ("-subj", f"/O={name}/CN={name}", "-days", "2", "-nodes")
        _openssl("req", "-x509", *_KEY, *subject, "-keyout", self._key, "-out", self.certificate)

    def issue(self, name: str, subject: str, *, alternative: str = "", days: int = 2) -> Path:
        key, request, certificate = (self._folder / f"{name}.{suffix}" for suffix in ("key", "csr", "crt"))
        _openssl("req", *_KEY, "-nodes", "-subj", subject, "-keyout", key, "-out", request)
        extensions = self._folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternative}\n" if alternative else "keyUsage=digitalSignature\n")
        by = ("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-extfile", extensions)
        _openssl("x509", "-req", "-in", request, *by, "-days", str(days), "-out", certificate)
        both = self._folder / f"{name}.pem"
        both.write_bytes(key.read_bytes() + certificate.read_bytes())
        return both


def _openssl(*arguments: str | Path) -> bytes:
    done = subprocess.run(["openssl", *arguments], capture_output=True, timeout=20, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
