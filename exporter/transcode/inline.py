"""Where a transcoder's work is done: on the event loop while it is short, else in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from exporter.interfaces import LargerThanAsked, Transcoder


@dataclass(frozen=True, slots=True)
class _Share:
    """What takes about half a millisecond, in bytes. To hand work to a thread costs 50 to 100 µs of CPU time."""

    payload: int
    documents: int
    """Written up to here, there may be more of them: then the work is begun anew, in a thread."""


_SHARES = {"native": _Share(256 * 1024, 2 * 1024 * 1024), "reference": _Share(8 * 1024, 64 * 1024)}

T = TypeVar("T")


async def run(transcoder: Transcoder, payload_bytes: int, work: Callable[..., T], *args: object) -> T:
    """Do `work`, which calls the transcoder with a payload of so many bytes.

    Behind its arguments it takes a bound for the documents' bytes, as the transcoder's methods do.
    """
    share = _SHARES.get(transcoder.name)
    if share is not None and payload_bytes <= share.payload:
        with suppress(LargerThanAsked):
            return work(*args, share.documents)
    return await asyncio.to_thread(work, *args)
