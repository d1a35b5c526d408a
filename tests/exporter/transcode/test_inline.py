"""Where the work is done."""

from __future__ import annotations

import threading

import pytest

from exporter.interfaces import LargerThanAsked
from exporter.transcode import inline
from exporter.transcode.reference import ReferenceTranscoder


@pytest.mark.parametrize(("payload_bytes", "on_the_loop"), [(8 * 1024, True), (8 * 1024 + 1, False)])
async def test_run_by_size_of_payload_chooses_the_thread(payload_bytes: int, on_the_loop: bool) -> None:
    thread = await inline.run(ReferenceTranscoder(), payload_bytes, lambda _within=None: threading.current_thread())

    assert (thread is threading.current_thread()) == on_the_loop


async def test_run_small_payload_that_stands_for_much_is_begun_anew_in_a_thread() -> None:
    bounds: list[int | None] = []

    def work(name: str, within: int | None = None) -> tuple[str, threading.Thread]:
        bounds.append(within)
        if within is not None:
            raise LargerThanAsked
        return name, threading.current_thread()

    name, thread = await inline.run(ReferenceTranscoder(), 100, work, "a")

    assert name == "a"
    assert thread is not threading.current_thread()
    assert bounds == [64 * 1024, None]


async def test_run_work_that_fails_raises_its_error() -> None:
    with pytest.raises(ZeroDivisionError):
        await inline.run(ReferenceTranscoder(), 1 << 20, lambda: 1 // 0)
