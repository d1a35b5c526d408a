"""Where the work is done."""

from __future__ import annotations

import threading

import pytest

from exporter.transcode import inline
from exporter.transcode.reference import ReferenceTranscoder


@pytest.mark.parametrize(("payload_bytes", "on_the_loop"), [(8 * 1024, True), (8 * 1024 + 1, False)])
async def test_run_by_size_of_payload_chooses_the_thread(payload_bytes: int, on_the_loop: bool) -> None:
    thread = await inline.run(ReferenceTranscoder(), payload_bytes, threading.current_thread)

    assert (thread is threading.current_thread()) == on_the_loop


async def test_run_work_that_fails_raises_its_error() -> None:
    with pytest.raises(ZeroDivisionError):
        await inline.run(ReferenceTranscoder(), 1 << 20, divmod, 1, 0)
