"""Random payloads: OTLP by its descriptors, with all that a protobuf encoder may write and some that none would."""

from __future__ import annotations

import struct
from random import Random

from google.protobuf.descriptor import Descriptor, FieldDescriptor

_VARINTS = frozenset(
    {
        FieldDescriptor.TYPE_BOOL,
        FieldDescriptor.TYPE_ENUM,
        FieldDescriptor.TYPE_INT32,
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_SINT32,
        FieldDescriptor.TYPE_UINT32,
        FieldDescriptor.TYPE_UINT64,
    }
)
_FIXED64 = frozenset({FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FIXED64, FieldDescriptor.TYPE_SFIXED64})
_VARINT, _I64, _LEN, _START_GROUP, _END_GROUP, _I32 = range(6)

_KEYS = (
    *(b"a", b"b", b"a.b", b"a.b.c", b"a.c", b"b.a", b"a.a.a", b"c.d.e.f", b"http.request.method", b"http.route"),
    *(b"", b".", b"a.", b".a", b"a..b", b"$a", b"a.$b", b"a$", b"a\0", b"\0", b"a.\xff", b"\xc3\xa9.\xc3\xbc"),
    *(b"attributesUnnested", b"a.attributesUnnested", b"attributesUnnested.a", b"attributesUnnesteda", b"\xed\xa0\x80"),
    *(b".".join([b"s"] * count) for count in (9, 60, 61, 62, 63, 64, 65)),
)
_TEXTS = (
    *(
        b"",
        b"x",
        b"GET",
        b"12345678",
        b"a longer text, over sixteen bytes",
        b"nul\0inside",
        b"\xff",
        b"ascii, then \xc3",
    ),
    *("grüße an alle, die dies lesen".encode(), "😀".encode()),
    *(b"\xf4\x90\x80\x80", b"\xe0\x80\x80", b"\xed\xbf\xbf", b"\xc0\x80"),
)
_NUMBERS = (0, 1, 2, 3, 5, 6, 24, 127, 128, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**32 + 3, 2**63 - 1, 2**63, 2**64 - 1)


def payload(rng: Random, request: Descriptor) -> bytes:
    """A valid payload for a signal."""
    return _message(rng, request, depth=0)


def mutated(rng: Random, data: bytes) -> bytes:
    """The same with a few bytes changed, taken out, put in or said twice; or cut short."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(6):
            case 0 if at < len(changed):
                changed[at] = rng.randrange(256)
            case 1 if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            case 2:
                del changed[at : at + rng.choice((1, 2, 8))]
            case 3:
                changed[at:at] = rng.randbytes(rng.choice((1, 2, 4)))
            case 4:
                changed[at:at] = changed[at : at + rng.randrange(1, 32)]
            case 5:
                del changed[at:]
    return bytes(changed)


def _message(rng: Random, descriptor: Descriptor, depth: int) -> bytes:
    # The outer messages are mostly containers: without a few fields in each, few records would come about.
    outer = depth < 3
    fields = [field for field in descriptor.fields if field.type == FieldDescriptor.TYPE_MESSAGE or not outer]
    if rng.random() < 0.3:
        # The same ones again and again: merging, and the last one wins.
        fields = rng.sample(fields, min(len(fields), 2))
    parts = []
    for _ in range(rng.choice((1, 2, 3)) if outer else rng.choice((0, 1, 1, 2, 2, 3, 4, 6))):
        field = rng.choice(descriptor.fields if rng.random() < 0.1 else fields or descriptor.fields)
        if rng.random() < 0.04:
            parts.append(_unknown(rng, rng.choice((field.number, 19, 99, 2**29 - 1)), depth=0))
        else:
            parts.append(_field(rng, field, depth))
    return b"".join(parts)


def _field(rng: Random, field: FieldDescriptor, depth: int) -> bytes:
    if field.message_type is not None:
        # Levels end by themselves: each costs as much as the last, and few have more than two messages inside.
        inner = b"" if depth > 24 else _message(rng, field.message_type, depth + 1)
        return _tag(rng, field.number, _LEN) + _sized(rng, inner)
    if field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
        texts = _KEYS if field.name == "key" else _TEXTS
        return _tag(rng, field.number, _LEN) + _sized(rng, rng.choice(texts))
    wire = _VARINT if field.type in _VARINTS else _I64 if field.type in _FIXED64 else _I32
    if field.is_repeated and rng.random() < 0.7:
        packed = b"".join(_scalar(rng, wire) for _ in range(rng.randrange(4)))
        return _tag(rng, field.number, _LEN) + _sized(rng, packed)
    return _tag(rng, field.number, wire) + _scalar(rng, wire)


def _scalar(rng: Random, wire: int) -> bytes:
    number = rng.choice(_NUMBERS) if rng.random() < 0.8 else rng.getrandbits(64)
    if wire == _VARINT:
        return _varint(rng, number)
    if wire == _I32:
        return struct.pack("<I", number & 0xFFFFFFFF)
    if rng.random() < 0.2:
        return struct.pack("<d", rng.choice((-0.0, 1.5, float("nan"), float("inf"), float("-inf"))))
    return struct.pack("<Q", number)


def _unknown(rng: Random, number: int, depth: int) -> bytes:
    """A field of any wire type, which may be another than the known one of that number."""
    wire = rng.choice((_VARINT, _I64, _LEN, _I32, _START_GROUP))
    tag = _tag(rng, number, wire)
    if wire == _LEN:
        return tag + _sized(rng, rng.choice(_TEXTS))
    if wire == _START_GROUP:
        inner = (
            b""
            if depth > 3
            else b"".join(_unknown(rng, rng.randrange(1, 30), depth + 1) for _ in range(rng.randrange(3)))
        )
        return tag + inner + _tag(rng, number, _END_GROUP)
    return tag + _scalar(rng, wire)


def _tag(rng: Random, number: int, wire: int) -> bytes:
    return _varint(rng, number << 3 | wire, most=5)


def _sized(rng: Random, data: bytes) -> bytes:
    return _varint(rng, len(data), most=5) + data


def _varint(rng: Random, number: int, most: int = 10) -> bytes:
    """In as few bytes as it takes, but now and then in more."""
    groups = [number >> shift & 0x7F for shift in range(0, max(number.bit_length(), 1), 7)]
    if rng.random() < 0.02:
        groups += [0] * (rng.randint(len(groups), most) - len(groups))
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])
