"""The sdist of this checkout, which wheels are built from."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_LEFT_BEHIND = (".*", "__pycache__", "*.egg-info", "*.so", "build", "dist", "data", "node_modules")
_PACK = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It is packed in a copy of the checkout, since packing leaves files where it happens."""
    folder = tmp_path_factory.mktemp("sdist")
    checkout = folder / "checkout"
    shutil.copytree(_ROOT, checkout, ignore=shutil.ignore_patterns(*_LEFT_BEHIND))
    subprocess.run([sys.executable, "-c", _PACK, folder], cwd=checkout, check=True, capture_output=True, timeout=50)
    (archive,) = folder.glob("*.tar.gz")
    return archive
