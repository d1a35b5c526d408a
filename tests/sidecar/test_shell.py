"""Documents in mongosh's notation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from bson import Decimal128, Int64

from sidecar.demo.shell import shell_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (datetime(2024, 5, 1, 12, 0, 0, 7000, UTC), "ISODate('2024-05-01T12:00:00.007Z')"),
        (UUID(int=1), "UUID('00000000-0000-0000-0000-000000000001')"),
        (b"\x00\xff", "BinData(0, '00ff')"),
        (Decimal128("18446744073709551615"), "Decimal128('18446744073709551615')"),
        (Int64(2**40), "Long('1099511627776')"),
        (Int64(5), "5"),
        (None, "null"),
        (True, "true"),
        ('a "quoted" ü', '"a \\"quoted\\" ü"'),
        ({}, "{}"),
        ([], "[]"),
        ({"a": 1, "b.c": [1, 2]}, '{ a: 1, "b.c": [ 1, 2 ] }'),
    ],
)
def test_shell_text_of_value_can_be_pasted(value: Any, text: str) -> None:
    assert shell_text(value) == text


def test_shell_text_of_wide_document_breaks_lines() -> None:
    text = shell_text({"first": "x" * 60, "second": {"third": "y" * 60}})

    assert text == '{\n  first: "' + "x" * 60 + '",\n  second: { third: "' + "y" * 60 + '" },\n}'
