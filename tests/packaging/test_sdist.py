from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tests.packaging.contents import PACKAGES, files_of_packages

pytestmark = pytest.mark.packaging

_METADATA = {"PKG-INFO", "otlp_mongo.egg-info", "setup.cfg"}  # of setuptools
_BESIDE_PACKAGES = {"LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py"} | _METADATA


def test_sdist_holds_packages_with_all_sources_and_no_other_folder(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        files = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}

    packaged = {name for name in files if name.partition("/")[0] in PACKAGES}
    assert packaged == files_of_packages()
    assert {name.partition("/")[0] for name in files - packaged} == _BESIDE_PACKAGES
