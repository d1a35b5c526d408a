from __future__ import annotations

import pytest

from sidecar.embedded import EmbeddedMongodError, find_mongod


@pytest.fixture(scope="session", autouse=True)
def _mongod_that_may_be_killed() -> None:
    try:
        find_mongod()
    except EmbeddedMongodError as error:
        pytest.skip(f"no mongod that may be killed: {error}")
