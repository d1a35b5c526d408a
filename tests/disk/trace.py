"""What a program did to the files of a folder, in order, with marks of its own (or a spectator's) in between."""

from __future__ import annotations

import enum
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_RECORD = struct.Struct("=IIQq")


class Kind(enum.Enum):
    """The letters of preload.c, and ours for marks."""

    CREATE = "C"
    MAKE_FOLDER = "M"
    WRITE = "W"
    RESIZE = "T"
    SYNC = "S"
    RENAME = "R"
    UNLINK = "U"
    UNSUPPORTED = "X"
    MARK = "K"


@dataclass(frozen=True, slots=True)
class Call:
    """One call that succeeded, or a mark."""

    kind: Kind
    inode: int
    number: int
    """An offset or a size in bytes."""
    payload: bytes
    """Data written, paths (from the folder on, NUL between two), or a mark's text."""


class Marker:
    """Writes marks into a trace. What it marked came after all calls that are in the trace before it."""

    def __init__(self, trace: Path) -> None:
        self._file = os.open(trace, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        os.close(self._file)

    def __call__(self, text: str) -> None:
        payload = text.encode()
        os.write(self._file, _RECORD.pack(len(payload), ord(Kind.MARK.value), 0, 0) + payload)


def read_trace(file: Path) -> Sequence[Call]:
    """All of it.

    Raises:
        ValueError: the program did what the model of the disk cannot follow.
    """
    data, start, calls = file.read_bytes(), 0, []
    while start < len(data):
        size, letter, inode, number = _RECORD.unpack_from(data, start)
        start += _RECORD.size
        call = Call(Kind(chr(letter)), inode, number, data[start : start + size])
        if call.kind is Kind.UNSUPPORTED:
            raise ValueError(f"the trace cannot be followed: {call.payload.decode()}")
        calls.append(call)
        start += size
    return calls
