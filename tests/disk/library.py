"""The preload library: compiled where the tests run, given to a program by its environment."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

_SOURCE = Path(__file__).with_name("preload.c")


class NoLibraryError(Exception):
    """It cannot be compiled here. The text says why."""


def compile_library(folder: Path) -> Path:
    """The compiled library, in a folder."""
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        raise NoLibraryError("the preload library is for Linux with glibc")
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise NoLibraryError("there is no C compiler to build the preload library with")
    library = folder / "disk.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", str(_SOURCE), "-o", str(library), "-ldl", "-lpthread"]
    subprocess.run(command, check=True)
    return library


def library_for_tests(folder: Path) -> Path:
    """Likewise; a missing compiler fails the test in CI and skips it elsewhere."""
    try:
        return compile_library(folder)
    except NoLibraryError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


def environment(
    library: Path, folder: Path, *, trace: Path | None = None, control: Path | None = None
) -> Mapping[str, str]:
    """What a program's environment needs, beside its own, so that its work in `folder` is traced or fails."""
    variables = {"LD_PRELOAD": str(library), "DISK_FOLDER": str(folder.resolve())}
    if trace is not None:
        trace.touch()
        variables["DISK_TRACE"] = str(trace)
    if control is not None:
        variables["DISK_CONTROL"] = str(control)
    return variables
