"""Documents for inserts."""

from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any

import bson

from exporter.interfaces import Documents


def documents(*records: Mapping[str, Any] | bytes) -> Documents:
    """Encoded records, or what is encoded already."""
    encoded = [record if isinstance(record, bytes) else bson.encode(record) for record in records]
    return Documents(b"".join(encoded), [0, *accumulate(map(len, encoded))])


def numbered(ids: Iterable[int], **fields: Any) -> Documents:
    return documents(*({"_id": number, **fields} for number in ids))


def nested(number: int, depth: int) -> bytes:
    """A document with as many sub-documents inside each other. The driver's encoder would not make one so deep."""
    inner = b"\x05\x00\x00\x00\x00"
    for _ in range(depth):
        inner = (len(inner) + 8).to_bytes(4, "little") + b"\x03a\x00" + inner + b"\x00"
    element = b"\x10_id\x00" + number.to_bytes(4, "little")
    return (len(inner) + len(element)).to_bytes(4, "little") + element + inner[4:]


def of_size(number: int, size: int) -> bytes:
    """A document of exactly so many bytes."""
    empty = len(bson.encode({"_id": number, "filling": ""}))
    return bson.encode({"_id": number, "filling": "x" * (size - empty)})
