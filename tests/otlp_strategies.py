"""Any valid OTLP payload, for hypothesis: made from OTLP's own descriptors, so that no field is forgotten."""

from __future__ import annotations

import struct
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import strategies as st

from exporter.signals import SIGNALS, Signal
from exporter.transcode.reference.messages import with_byte_strings

REQUESTS = {name: with_byte_strings(signal.request) for name, signal in SIGNALS.items()}
"""The requests, with bytes for strings, so that tests can send and see those that are not UTF-8."""

_DEEPEST_VALUE = 4
_MOST_ELEMENTS = 3

_KEYS = st.one_of(
    st.sampled_from(["a", "b", "a.b", "a.b.c", "a.c", "b.a", "a.b.c.d", "http.request.method", "0", "é.ü"]),
    st.sampled_from(["", ".", "a.", ".a", "a..b", "$a", "a.$b", "a$.b", "a\0b", "_id", "k", "v"]),
    st.sampled_from(["attributesUnnested", "attributesUnnested.a", "a.attributesUnnested", "attributes"]),
    st.integers(58, 66).map(lambda segments: ".".join("d" * segments)),
    st.text(st.sampled_from("ab.$\0"), max_size=6),
    st.text(max_size=4),
).map(str.encode) | st.sampled_from([b"\xff", b"a.\xc0\x80", b"\xed\xa0\x80"])

_TEXTS = st.one_of(
    st.text(max_size=8).map(str.encode),
    st.sampled_from(
        [b"", b"\0", b"\xff", b"a\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", "\U0001f600".encode()]
    ),
)

_DOUBLES = st.one_of(
    st.sampled_from([0.0, -0.0, float("inf"), float("-inf"), 5e-324, 1.7976931348623157e308]),
    st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0]),
)


def _integers(low: int, high: int) -> st.SearchStrategy[int]:
    edges = {low, low + 1, -1, 0, 1, 2**31 - 1, 2**31, 2**63 - 1, 2**63, high - 1, high}
    return st.sampled_from(sorted(edge for edge in edges if low <= edge <= high)) | st.integers(low, high)


_INT32 = _integers(-(2**31), 2**31 - 1)
_UINT32 = _integers(0, 2**32 - 1)
_INT64 = _integers(-(2**63), 2**63 - 1)
_UINT64 = _integers(0, 2**64 - 1)

_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_DOUBLE: _DOUBLES,
    FieldDescriptor.TYPE_ENUM: st.integers(0, 5) | _INT32,
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_SINT32: _INT32,
    FieldDescriptor.TYPE_UINT32: _UINT32,
    FieldDescriptor.TYPE_FIXED32: _UINT32,
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_SFIXED64: _INT64,
    FieldDescriptor.TYPE_UINT64: _UINT64,
    FieldDescriptor.TYPE_FIXED64: _UINT64,
}


def payloads(signal: Signal) -> st.SearchStrategy[bytes]:
    """Payloads of a signal: every field, every type of value, valid UTF-8 or not."""
    return requests(signal).map(lambda request: request.SerializeToString())


@st.composite
def requests(draw: st.DrawFn, signal: Signal) -> Any:
    """Requests of a signal, of the classes in `REQUESTS`. Hypothesis shrinks them to empty ones."""
    request = REQUESTS[signal.name]()
    _fill(draw, request, 0)
    return request


def _fill(draw: st.DrawFn, message: Any, depth: int) -> None:
    """`depth`: how many values the message stands in."""
    descriptor: Descriptor = message.DESCRIPTOR
    for oneof in descriptor.oneofs:
        chosen = draw(st.sampled_from([None, *(field for field in oneof.fields if _may_have(field, depth))]))
        if chosen is not None:
            _fill_field(draw, message, chosen, depth)
    for field in descriptor.fields:
        if field.containing_oneof is None and (_is_group(field) or draw(st.booleans())):
            _fill_field(draw, message, field, depth)


def _is_group(field: FieldDescriptor) -> bool:
    """Groups and records are there more often than not: without them there is nothing to see."""
    return field.name.startswith(("resource_", "scope_")) or field.name in {
        "spans",
        "metrics",
        "log_records",
        "data_points",
    }


def _may_have(field: FieldDescriptor, depth: int) -> bool:
    return depth < _DEEPEST_VALUE or field.message_type is None


def _fill_field(draw: st.DrawFn, message: Any, field: FieldDescriptor, depth: int) -> None:
    if field.message_type is not None:
        deeper = depth + (message.DESCRIPTOR.name == "AnyValue")
        if field.is_repeated:
            for _ in range(draw(st.integers(0, _MOST_ELEMENTS))):
                _fill(draw, getattr(message, field.name).add(), deeper)
        else:
            getattr(message, field.name).SetInParent()
            _fill(draw, getattr(message, field.name), deeper)
    elif field.is_repeated:
        getattr(message, field.name).extend(draw(st.lists(_scalar(field), max_size=_MOST_ELEMENTS)))
    else:
        setattr(message, field.name, draw(_scalar(field)))


def _scalar(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.type != FieldDescriptor.TYPE_BYTES:
        return _SCALARS[field.type]
    if field.name == "key":
        return _KEYS
    if field.name.endswith("trace_id"):
        return _ids(16)
    if field.name.endswith("span_id"):
        return _ids(8)
    return _TEXTS


def _ids(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size) | st.binary(max_size=size + 1)
