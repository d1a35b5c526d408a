"""Sources to build from, as users have them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_LEFT_BEHIND = (".*", "__pycache__", "*.egg-info", "*.so", "build", "dist", "data", "node_modules")
_CYTHONIZED = Path("build/cython")
_PACK = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this one, since building leaves files where it happens."""
    copy = tmp_path_factory.mktemp("sources") / "checkout"
    shutil.copytree(_ROOT, copy, ignore=shutil.ignore_patterns(*_LEFT_BEHIND))
    if (_ROOT / _CYTHONIZED).exists():  # Cython goes by the time of files, and has less to do
        shutil.copytree(_ROOT / _CYTHONIZED, copy / _CYTHONIZED)
    return copy


@pytest.fixture(scope="session")
def sdist(checkout: Path) -> Path:
    folder = checkout.parent
    subprocess.run([sys.executable, "-c", _PACK, folder], cwd=checkout, check=True, capture_output=True)
    (archive,) = folder.glob("*.tar.gz")
    return archive
