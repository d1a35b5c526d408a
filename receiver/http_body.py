"""Reading and unpacking an HTTP request's body within its bounds."""

from __future__ import annotations

from aiohttp import web

from receiver.admission import Reservation
from receiver.arrivals import Arrivals
from receiver.errors import ClientGone, UnsupportedMediaType
from receiver.inflate import ENCODINGS
from receiver.unpack import too_large, unpack

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


async def read_body(request: web.BaseRequest, reservation: Reservation, arrivals: Arrivals, *, max_bytes: int) -> bytes:
    """The body, unpacked. `reservation` grows with it. `max_bytes`: packed or unpacked.

    Raises:
        PayloadTooLarge, MalformedPayload, UnsupportedMediaType: it cannot be taken.
        Overloaded: no memory for it now.
        Unavailable: it did not come in time.
        ClientGone: it never will.
    """
    encoding = _encoding(request)
    if (request.content_length or 0) > max_bytes:
        raise too_large(max_bytes)
    body = await _receive(request, reservation, arrivals, max_bytes)
    if encoding is None:
        return body
    return await unpack(body, encoding, reservation, max_bytes)


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


async def _receive(request: web.BaseRequest, reservation: Reservation, arrivals: Arrivals, max_bytes: int) -> bytes:
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(_CONTINUE)
        request.writer.output_size = 0  # it is no part of the answer
    chunks: list[bytes] = []
    size = 0
    try:
        async with arrivals.body() as arrival:
            while chunk := await request.content.readany():
                size += len(chunk)
                if size > max_bytes:
                    raise too_large(max_bytes)
                reservation.grow_to(size)
                chunks.append(chunk)
                if not request.content.is_eof():
                    arrival.progress(size)
    except (ConnectionError, web.RequestPayloadError) as error:
        raise ClientGone("the client hung up before the request's body was whole") from error
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
