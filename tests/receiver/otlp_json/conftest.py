from __future__ import annotations

import pytest

from receiver.otlp_json import Converter
from tests.receiver.otlp_json.converters import native, reference


@pytest.fixture(scope="session", params=[reference, native], ids=["reference", "native"])
def converter(request: pytest.FixtureRequest) -> Converter:
    """Each converter there is. They keep nothing of what they are given, so one serves all tests."""
    made: Converter = request.param()
    return made
