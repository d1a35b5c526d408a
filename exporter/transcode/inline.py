"""Where a transcoder's work is done: on the event loop while it is short, else in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from exporter.interfaces import Transcoder

_INLINE_BYTES = {"native": 256 * 1024, "reference": 8 * 1024}
"""Payloads up to this size take about half a millisecond. Handing one to a thread costs 50 to 100 µs of CPU time."""

P = ParamSpec("P")
T = TypeVar("T")


async def run(transcoder: Transcoder, payload_bytes: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do `work`, which calls the transcoder with a payload of so many bytes."""
    if payload_bytes <= _INLINE_BYTES.get(transcoder.name, 0):
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)
