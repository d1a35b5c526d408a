"""Unpacking a whole body: small ones at once, big ones in a thread, with memory asked for before it is used."""

from __future__ import annotations

import asyncio

from receiver.admission import Reservation
from receiver.errors import PayloadTooLarge
from receiver.inflate import Inflater

_INLINE_BYTES = 64 * 1024
_STEP_BYTES = 1024 * 1024


async def unpack(body: bytes, encoding: str, reservation: Reservation, max_bytes: int) -> bytes:
    """The body, unpacked. `reservation` grows with it.

    Raises:
        MalformedPayload: it is damaged.
        PayloadTooLarge: it has more than `max_bytes`.
        Overloaded: no memory for it now.
    """
    inflater = Inflater(body, encoding)
    chunks = [inflater.read(min(_INLINE_BYTES, max_bytes + 1))]
    size = len(chunks[0])
    while chunks[-1]:
        if size > max_bytes:
            raise too_large(max_bytes)
        reservation.grow_to(len(body) + size)
        if size < _INLINE_BYTES:
            break
        chunks.append(await asyncio.to_thread(inflater.read, min(_STEP_BYTES, max_bytes + 1 - size)))
        size += len(chunks[-1])
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def too_large(max_bytes: int) -> PayloadTooLarge:
    """The refusal of a body above the limit."""
    return PayloadTooLarge(
        f"the request is larger than the limit of {max_bytes} bytes, which also holds unpacked: send smaller batches"
    )
