from __future__ import annotations

import pytest

from exporter.interfaces import Transcoder
from exporter.transcode.reference import ReferenceTranscoder


def _native() -> Transcoder:
    module = pytest.importorskip("exporter.transcode.native", exc_type=ImportError)
    made: Transcoder = module.NativeTranscoder()
    return made


@pytest.fixture(scope="session", params=[ReferenceTranscoder, _native], ids=["reference", "native"])
def transcoder(request: pytest.FixtureRequest) -> Transcoder:
    """Each transcoder there is. They keep nothing of what they are given, so one serves all tests."""
    made: Transcoder = request.param()
    return made
