"""Reading and unpacking an HTTP request's body within its bounds."""

from __future__ import annotations

import asyncio

from aiohttp import web

from exporter import Unavailable
from receiver.admission import Reservation
from receiver.errors import ClientGone, PayloadTooLarge, UnsupportedMediaType
from receiver.inflate import ENCODINGS, Inflater

_INLINE_BYTES = 64 * 1024
_STEP_BYTES = 1024 * 1024
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


async def read_body(
    request: web.BaseRequest, reservation: Reservation, *, max_bytes: int, timeout_seconds: float
) -> bytes:
    """The body, unpacked. `reservation` grows with it. `max_bytes`: packed or unpacked.

    Raises:
        PayloadTooLarge, MalformedPayload, UnsupportedMediaType: it cannot be taken.
        Overloaded: no memory for it now.
        Unavailable: it did not come in time.
        ClientGone: it never will.
    """
    encoding = _encoding(request)
    if (request.content_length or 0) > max_bytes:
        raise _too_large(max_bytes)
    body = await _receive(request, reservation, max_bytes, timeout_seconds)
    if encoding is None:
        return body
    return await _unpack(Inflater(body, encoding), len(body), reservation, max_bytes)


def _encoding(request: web.BaseRequest) -> str | None:
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower().removeprefix("x-")
    if encoding in ("", "identity"):
        return None
    if encoding not in ENCODINGS:
        takes = ", ".join(ENCODINGS)
        raise UnsupportedMediaType(
            f"the content encoding {encoding[:64]!r} is not supported: send it as one of {takes} or without",
            ("Accept-Encoding", takes),
        )
    return encoding


async def _receive(request: web.BaseRequest, reservation: Reservation, max_bytes: int, timeout_seconds: float) -> bytes:
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(_CONTINUE)
        request.writer.output_size = 0  # it is no part of the answer
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_seconds):
            while chunk := await request.content.readany():
                size += len(chunk)
                if size > max_bytes:
                    raise _too_large(max_bytes)
                reservation.grow_to(size)
                chunks.append(chunk)
    except TimeoutError as error:
        raise Unavailable(f"the request's body did not arrive within {timeout_seconds:g} seconds") from error
    except (ConnectionError, web.RequestPayloadError) as error:
        raise ClientGone("the client hung up before the request's body was whole") from error
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _unpack(inflater: Inflater, packed: int, reservation: Reservation, max_bytes: int) -> bytes:
    """Small ones at once; big ones in a thread, step by step, so that memory is asked for before it is used."""
    chunks = [inflater.read(min(_INLINE_BYTES, max_bytes + 1))]
    size = len(chunks[0])
    while chunks[-1]:
        if size > max_bytes:
            raise _too_large(max_bytes)
        reservation.grow_to(packed + size)
        if size < _INLINE_BYTES:
            break
        chunks.append(await asyncio.to_thread(inflater.read, min(_STEP_BYTES, max_bytes + 1 - size)))
        size += len(chunks[-1])
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(max_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"the request is larger than the limit of {max_bytes} bytes, which also holds unpacked: send smaller batches"
    )
