"""Documents as mongosh prints them, so that what is shown can be pasted into a query."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from bson import Decimal128, Int64

_INDENT = "  "
_LARGEST_INT32 = 2**31 - 1
_WIDTH = 100


def shell_text(value: Any, indent: str = "") -> str:
    """A value in mongosh's notation; what fits on one line stands on one."""
    match value:
        case Mapping():
            return _joined(
                "{", "}", [f"{_key(key)}: {shell_text(item, indent + _INDENT)}" for key, item in value.items()], indent
            )
        case list():
            return _joined("[", "]", [shell_text(item, indent + _INDENT) for item in value], indent)
        case _:
            return _leaf(value)


def _joined(start: str, end: str, items: list[str], indent: str) -> str:
    flat = f"{start} {', '.join(items)} {end}" if items else start + end
    if len(indent) + len(flat) <= _WIDTH and "\n" not in flat:
        return flat
    return f"{start}\n" + "".join(_lines(items, indent + _INDENT)) + indent + end


def _lines(items: list[str], indent: str) -> Iterator[str]:
    for item in items:
        yield f"{indent}{item},\n"


def _key(key: str) -> str:
    return key if key.isidentifier() else json.dumps(key, ensure_ascii=False)


def _leaf(value: Any) -> str:
    match value:
        case datetime():
            return f"ISODate('{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}Z')"
        case UUID():
            return f"UUID('{value}')"
        case bytes():
            return f"BinData(0, '{value.hex()}')"
        case Decimal128():
            return f"Decimal128('{value}')"
        case Int64() if abs(value) > _LARGEST_INT32:
            return f"Long('{value}')"
        case _:
            return json.dumps(value, ensure_ascii=False)
