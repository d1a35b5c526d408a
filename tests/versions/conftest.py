from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mongod import running
from tests.versions.prepare import SOURCES, program

_FOLDER = Path(__file__).parents[2] / ".cache" / "mongods"


@pytest.fixture(scope="module", params=SOURCES)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def uri(version: str) -> Iterator[str]:
    """Of a mongod of that version, with fail points, which looks for expired documents every second."""
    binary = program(_FOLDER, version)
    if not binary.exists():
        # What is missing must not make a green run in CI.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no mongod {version}: make mongods")
    with running(binary, "--setParameter", "ttlMonitorSleepSecs=1") as uri:
        yield uri
