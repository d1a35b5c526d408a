"""MongoDB's wire protocol, as far as PyMongo uses it: OP_MSG, and OP_QUERY for the first hello."""

from __future__ import annotations

import asyncio
import struct
from typing import Any, NamedTuple

import bson

_HEADER = struct.Struct("<iiii")
_OP_REPLY, _OP_QUERY, _OP_MSG = 1, 2004, 2013
_MORE_TO_COME = 2


class Request(NamedTuple):
    """One command."""

    number: int
    opcode: int
    command: dict[str, Any]
    """With the documents of a sequence in their field, as they came: encoded."""
    wants_answer: bool


async def read(reader: asyncio.StreamReader) -> Request:
    """Raises asyncio.IncompleteReadError at the end of the connection."""
    length, number, _, opcode = _HEADER.unpack(await reader.readexactly(_HEADER.size))
    body = await reader.readexactly(length - _HEADER.size)
    if opcode == _OP_QUERY:
        command = body[body.index(b"\0", 4) + 1 + 8 :]
        return Request(number, opcode, bson.decode(command), wants_answer=True)
    if opcode != _OP_MSG:
        raise ValueError(f"opcode {opcode} is not spoken here")
    (flags,) = struct.unpack_from("<i", body)
    return Request(number, opcode, _sections(body, flags), wants_answer=not flags & _MORE_TO_COME)


def answer(request: Request, reply: dict[str, Any]) -> bytes:
    """The bytes of a reply."""
    document = bson.encode(reply)
    if request.opcode == _OP_QUERY:
        body, opcode = struct.pack("<iqii", 8, 0, 0, 1) + document, _OP_REPLY
    else:
        body, opcode = struct.pack("<i", 0) + b"\0" + document, _OP_MSG
    return _HEADER.pack(_HEADER.size + len(body), 0, request.number, opcode) + body


def _sections(body: bytes, flags: int) -> dict[str, Any]:
    command: dict[str, Any] = {}
    sequences: dict[str, list[bytes]] = {}
    at, end = 4, len(body) - (4 if flags & 1 else 0)
    while at < end:
        kind, at = body[at], at + 1
        (size,) = struct.unpack_from("<i", body, at)
        section = body[at : at + size]
        at += size
        if kind == 0:
            command = bson.decode(section)
            continue
        name, _, documents = section[4:].partition(b"\0")
        sequences[name.decode()] = _documents(documents)
    return command | sequences


def _documents(sequence: bytes) -> list[bytes]:
    found = []
    while sequence:
        size = int.from_bytes(sequence[:4], "little")
        found.append(sequence[:size])
        sequence = sequence[size:]
    return found
