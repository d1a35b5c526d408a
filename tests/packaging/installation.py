"""otlp-mongo built and installed, as pip does it for users, but offline."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

from tests.end_to_end.process import LogLine, Program

_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
_OFFLINE = ("--no-cache-dir", "--no-deps", "--no-index")
_NOWHERE = {
    "MONGODB_URI": "mongodb://127.0.0.1:1/",
    "OTLP_MONGO_GRPC_ENDPOINT": "127.0.0.1:0",
    "OTLP_MONGO_HTTP_ENDPOINT": "127.0.0.1:0",
    "OTLP_MONGO_ADMIN_ENDPOINT": "off",
}


class BuildFailed(Exception):
    """With what the build said."""


def build_wheel(sources: Path, folder: Path, **environment: str) -> tuple[Path, str]:
    """The wheel of an sdist or a checkout, made in `folder`, and what the build said.

    Raises:
        BuildFailed: it has no wheel, but says why.
    """
    # The quickest to compile: what is built is not measured.
    command = [*_PIP, "wheel", *_OFFLINE, "-v", "--no-build-isolation", "--wheel-dir", str(folder), str(sources)]
    variables = {**os.environ, "OTLP_MONGO_BUILD_CFLAGS": "-O0 -g0", **environment}
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    said = done.stdout + done.stderr
    if done.returncode != 0:
        raise BuildFailed(said)
    (wheel,) = folder.glob("*.whl")
    return wheel, said


class Installation:
    """A virtual environment with one wheel in it."""

    def __init__(self, wheel: Path, folder: Path) -> None:
        """`folder`: where the environment is made."""
        venv.create(folder, symlinks=True)
        subprocess.run([*_PIP, "--python", folder, "install", *_OFFLINE, "--quiet", wheel], check=True)
        self._command = folder / "bin" / "otlp-mongo"
        (packages,) = folder.glob("lib/python3.*/site-packages")
        # Dependencies are those of the tests. They come after the wheel, and the .pth file that may lead from there to
        # this checkout is not read.
        (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))

    def config(self, folder: Path) -> str:
        """What `otlp-mongo config` prints in `folder`."""
        return subprocess.check_output([self._command, "config"], cwd=folder, text=True)

    def serve(self, folder: Path) -> Program:
        """`otlp-mongo serve`, started in `folder` and without a MongoDB."""
        return Program([self._command, "serve"], _NOWHERE, folder)


def message(text: str) -> Callable[[LogLine], bool]:
    """Whether a line's message begins with `text`."""
    return lambda line: str(line.get("message")).startswith(text)
