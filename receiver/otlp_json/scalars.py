"""Single values of JSON as Protocol Buffers write them (protobuf.dev, "ProtoJSON Format" and "Encoding").

Stricter than Python: a number in a string must be one that JSON could have without it, and a boolean is no number.
"""

from __future__ import annotations

import binascii
import re
import struct
from collections.abc import Callable

from receiver.otlp_json.schema import FIXED32, Field, Integers, Kind, plain
from receiver.otlp_json.wrong import Wrong

Encode = Callable[[object], bytes | None]
"""A value's bytes behind its tag (and, for strings and bytes, its length). None: it is ignored. Raises Wrong."""

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_INTEGER = re.compile(r"-?[0-9]+", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}", re.ASCII)
_SPECIAL_DOUBLES = {name: struct.pack("<d", float(name)) for name in ("NaN", "Infinity", "-Infinity")}
_MOST_DIGITS = 20
_UINT64_MASK = 2**64 - 1


def varint(number: int) -> bytes:
    """An unsigned number, seven bits a byte."""
    output = bytearray()
    while number > 0x7F:
        output.append(number & 0x7F | 0x80)
        number >>= 7
    output.append(number)
    return bytes(output)


def encoder(field: Field) -> Encode:
    """The one for a field that is no message."""
    return _ENCODERS[field.kind](field)


def _string(_field: Field) -> Encode:
    def encode(value: object) -> bytes:
        if type(value) is not str:
            raise Wrong("a string", value)
        return value.encode()

    return encode


def _id(_field: Field) -> Encode:
    def encode(value: object) -> bytes:
        if type(value) is not str:
            raise Wrong("a string of hexadecimal digits", value)
        try:
            return binascii.unhexlify(value)
        except ValueError:
            raise Wrong("hexadecimal digits, two for each byte", value) from None

    return encode


def _bytes(_field: Field) -> Encode:
    def encode(value: object) -> bytes:
        if type(value) is not str:
            raise Wrong("a string in base64", value)
        digits = value.rstrip("=")
        if not _BASE64.fullmatch(value) or len(digits) % 4 == 1:
            raise Wrong("base64", value)
        digits = digits.replace("-", "+").replace("_", "/")
        return binascii.a2b_base64(digits + "=" * (-len(digits) % 4))

    return encode


def _bool(_field: Field) -> Encode:
    def encode(value: object) -> bytes:
        if type(value) is not bool:
            raise Wrong("true or false", value)
        return b"\1" if value else b"\0"

    return encode


def _enum(field: Field) -> Encode:
    numbers, integers = field.enum_numbers, field.integers

    def encode(value: object) -> bytes | None:
        if type(value) is not str:
            return varint(_integer(value, integers) & _UINT64_MASK)
        if (known := numbers.get(value)) is not None or (known := numbers.get(plain(value))) is not None:
            return varint(known & _UINT64_MASK)
        if _INTEGER.fullmatch(value):
            return varint(_integer(value, integers) & _UINT64_MASK)
        if not (value.isascii() and value.isidentifier()):
            raise Wrong("an enum's number or name", value)
        return None  # a name of the future is ignored, as an unknown field is

    return encode


def _double(_field: Field) -> Encode:
    pack = struct.Struct("<d").pack

    def encode(value: object) -> bytes:
        if type(value) is float or type(value) is int:
            return pack(value)
        if type(value) is not str:
            raise Wrong("a number", value)
        if (special := _SPECIAL_DOUBLES.get(value)) is not None:
            return special
        number = float(value) if _NUMBER.fullmatch(value) else float("inf")
        if number in (float("inf"), float("-inf")):
            raise Wrong("a number", value)
        return pack(number)

    return encode


def _varint(field: Field) -> Encode:
    integers = field.integers

    def encode(value: object) -> bytes:
        return varint(_integer(value, integers) & _UINT64_MASK)

    return encode


def _zigzag(field: Field) -> Encode:
    integers = field.integers

    def encode(value: object) -> bytes:
        number = _integer(value, integers)
        return varint(number * 2 if number >= 0 else -number * 2 - 1)

    return encode


def _fixed(field: Field) -> Encode:
    integers, size, signed = field.integers, 4 if field.wire_type == FIXED32 else 8, field.integers.low < 0

    def encode(value: object) -> bytes:
        return _integer(value, integers).to_bytes(size, "little", signed=signed)

    return encode


def _integer(value: object, integers: Integers) -> int:
    if type(value) is int:
        number = value
    elif type(value) is str and len(value) <= _MOST_DIGITS and value.isascii() and value.isdigit():
        number = int(value)
    else:
        number = _unusual_integer(value)
    if integers.low <= number <= integers.high:
        return number
    raise Wrong(f"a whole number from {integers.low} to {integers.high}", value)


def _unusual_integer(value: object) -> int:
    """One with a sign, a fraction of zeros or an exponent: JSON has but one type of numbers."""
    if type(value) is str and _NUMBER.fullmatch(value):
        if len(value) <= _MOST_DIGITS and value[1:].isdigit():
            return int(value)
        number = float(value)
    elif type(value) is float:
        number = value
    else:
        raise Wrong("a whole number", value)
    # orjson makes a float of an integer below -2^63, which is the nearest float.
    if not number.is_integer() or number == -(2.0**63):
        raise Wrong("a whole number of 64 bits", value)
    return int(number)


_ENCODERS: dict[Kind, Callable[[Field], Encode]] = {
    Kind.STRING: _string,
    Kind.ID: _id,
    Kind.BYTES: _bytes,
    Kind.BOOL: _bool,
    Kind.ENUM: _enum,
    Kind.DOUBLE: _double,
    Kind.INTEGER: _varint,
    Kind.ZIGZAG: _zigzag,
    Kind.FIXED: _fixed,
}
