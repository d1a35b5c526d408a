from __future__ import annotations

import pytest

from exporter.interfaces import Transcoder
from exporter.transcode.reference import ReferenceTranscoder


@pytest.fixture(scope="session", params=[ReferenceTranscoder], ids=lambda transcoder: transcoder.__name__)
def transcoder(request: pytest.FixtureRequest) -> Transcoder:
    """Each transcoder there is. They keep nothing of what they are given, so one serves all tests."""
    made: Transcoder = request.param()
    return made
