"""The tables of the native JSON converter as a C header, and the names in them as a dictionary for libFuzzer.

`python -m tests.fuzz.json_tables FOLDER` writes `json_tables.h` and `json.dict` there: no Python runs while fuzzing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from receiver.otlp_json.schema import schema_of
from receiver.otlp_json.tables import Tables, tables_of
from tests.descriptors import descriptor_of
from tests.fuzz.json_differential import CORPUS_SIGNALS, TOKENS

_PARTS = ("messages", "fields", "keys", "text")
"""As in `Schema` (receiver/otlp_json/native/schema.pxd)."""


def header(tables: Mapping[str, Tables]) -> Iterator[str]:
    """Lines of C."""
    yield "#include <stdint.h>"
    for name, table in tables.items():
        for part in _PARTS:
            content = ",".join(str(byte) for byte in getattr(table, part))
            yield f"static const _Alignas(8) uint8_t json_{name}_{part}[] = {{{content}}};"
    yield "static const uint8_t *const JSON_TABLES[][4] = {"
    for name in tables:
        yield "{" + ", ".join(f"json_{name}_{part}" for part in _PARTS) + "},"
    yield "};"


def dictionary(tables: Mapping[str, Tables]) -> Iterator[str]:
    """https://llvm.org/docs/LibFuzzer.html#dictionaries"""
    names = sorted({name for table in tables.values() for name in table.names})
    for token in (*TOKENS, *(f'"{name}":'.encode() for name in names)):
        yield '"' + "".join(f"\\x{byte:02x}" for byte in token) + '"'


def main() -> None:
    folder = Path(sys.argv[1])
    tables = {signal.name: tables_of(schema_of(descriptor_of(signal.request))) for signal in CORPUS_SIGNALS}
    (folder / "json_tables.h").write_text("\n".join(header(tables)) + "\n")
    (folder / "json.dict").write_text("\n".join(dictionary(tables)) + "\n")


if __name__ == "__main__":
    main()
