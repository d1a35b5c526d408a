"""Making a program's calls fail while it runs."""

from __future__ import annotations

import enum
import mmap
import struct
from pathlib import Path
from typing import Self

FOR_GOOD = 1 << 30
"""As a number of times."""


class Operation(enum.IntEnum):
    """Kinds of calls, as preload.c numbers them."""

    OPEN = 0
    READ = 1
    WRITE = 2
    SYNC = 3
    RESIZE = 4
    RENAME = 5
    UNLINK = 6
    MKDIR = 7
    STAT = 8
    LIST = 9


_FAULT = struct.Struct("=iiiii")
_CALLS = struct.Struct(f"={len(Operation)}i")


class Faults:
    """The file that the preload library looks into; whoever has it may say what fails."""

    def __init__(self, file: Path) -> None:
        """`file` is made when it is not there."""
        if not file.exists():
            file.write_bytes(bytes(_FAULT.size + _CALLS.size))
        with file.open("r+b") as stream:
            self._memory = mmap.mmap(stream.fileno(), 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._memory.close()

    def arm(self, operation: Operation, error: int, *, skip: int = 0, times: int = 1) -> None:
        """Let calls of a kind fail with an errno: `times` of them, after the first `skip`."""
        self._memory[:] = _FAULT.pack(1 << operation, skip, error, times, 0) + bytes(_CALLS.size)

    def lift(self) -> None:
        """Nothing fails from now on."""
        self._memory[: _FAULT.size] = _FAULT.pack(0, 0, 0, 0, self.failed)

    def count(self) -> None:
        """Start to count from 0 on; nothing fails."""
        self._memory[:] = bytes(len(self._memory))

    @property
    def failed(self) -> int:
        """How many calls failed since `arm`."""
        return int(_FAULT.unpack_from(self._memory)[4])

    def calls(self, operation: Operation) -> int:
        """How many calls of a kind there were since `arm` or `count`, those that failed included."""
        return int(_CALLS.unpack_from(self._memory, _FAULT.size)[operation])
