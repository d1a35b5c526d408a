"""`otlp-mongo config`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib import import_module
from typing import TYPE_CHECKING

import orjson

from sidecar.commands.table import table
from sidecar.settings import load
from sidecar.settings.describe import Row, describe

_COMPILED = {"transcoder": "exporter.transcode.native", "JSON converter": "receiver.otlp_json.native"}
"""The parts that OTLP_MONGO_TRANSCODER chooses, and where they are where they were built."""

if TYPE_CHECKING:
    from sidecar.command_line import ConfigFormat


def run(output: ConfigFormat) -> None:
    """Print every setting on stdout, and what looks like a misspelt one on stderr."""
    loaded = load()
    for warning in loaded.warnings:
        sys.stderr.write(f"otlp-mongo: {warning}\n")
    rows = describe(loaded)
    match output.value:
        case "json":
            text = orjson.dumps([asdict(row) for row in rows], option=orjson.OPT_INDENT_2).decode()
        case "env":
            text = "\n".join(_env(rows))
        case _:
            text = "\n".join((*_table(rows), "", *_in_use(loaded.settings.transcoder)))
    sys.stdout.write(text + "\n")


def _env(rows: Iterable[Row]) -> Iterable[str]:
    """Lines fit for a `.env` file; those at their default are comments."""
    for row in rows:
        yield f"# {row.description} Takes {row.takes}."
        assignment = f"{row.name}={shlex.quote(row.value) if row.value else ''}"
        yield f"# {assignment}" if row.source == "default" else assignment


def _table(rows: Sequence[Row]) -> Iterable[str]:
    head = ("SETTING", "VALUE", "DEFAULT", "SOURCE")
    return table(head, ((row.name, row.value or "-", row.default or "-", row.source) for row in rows))


def _in_use(choice: str) -> Iterable[str]:
    """What the choice of a transcoder comes to in this installation."""
    for part, module in _COMPILED.items():
        yield f"{part} in use: {_made_of(choice, module)}"


def _made_of(choice: str, module: str) -> str:
    if choice == "reference":
        return "reference"
    try:
        import_module(module)
    except ImportError:
        return "none (native was not built)" if choice == "native" else "reference (native was not built)"
    return "native"
