"""Damage in a segment's write-ahead log.

SQLite reads a log up to the first frame that does not verify and takes that for its end. After a power cut that is
right: the rest was never acknowledged. But where whole transactions follow, that frame was once on disk and has been
damaged since, and SQLite would drop acknowledged batches in silence. Then the checksums of header and frames are
computed anew, so that SQLite reads them all; a damaged page among them shows as a damaged page, and each batch has a
checksum of its own.

SQLite deletes a log when its last connection is closed. So all this is looked at before SQLite opens the file.

Source: SQLite, "Database File Format", section 4.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from exporter.buffer import files
from exporter.buffer.file_system import FileSystem
from exporter.buffer.schema import PAGE_BYTES

_HEADER = struct.Struct(">IIII8s")
_HEADER_BYTES, _FRAME_BYTES = 32, 24
_SIZE = _FRAME_BYTES + PAGE_BYTES
_FRAMES_READ = 64
_VERSION = 3007000
_LITTLE, _BIG = 0x377F0682, 0x377F0683
_MASK = 0xFFFFFFFF
_Sum = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Log:
    """What a look through a log found."""

    magic: int
    salt: bytes
    """What all frames of the log's present use carry."""
    commits: tuple[int, ...]
    """Numbers, from 1, of the frames that end a transaction."""
    readable: int
    """How many of the first frames SQLite reads."""

    @property
    def lost(self) -> int:
        """Transactions behind those frames, which SQLite would drop."""
        return sum(commit > self.readable for commit in self.commits)


def inspect(system: FileSystem, file: Path) -> Log | None:
    """Look through a log. None: there is none, or nothing in it. Takes some 50 ms for each MiB. Raises OSError."""
    if not files.size(system, file):
        return None
    with files.opened(system, file, os.O_RDONLY) as descriptor:
        header = system.read(descriptor, _HEADER_BYTES, 0)
        first = system.read(descriptor, _FRAME_BYTES, _HEADER_BYTES)
        if len(first) < _FRAME_BYTES:
            return None
        magic = int.from_bytes(header[:4])
        magic = magic if magic in {_LITTLE, _BIG} else _LITTLE
        chain = _checksum(header[:24], (0, 0), magic)
        sound = chain == struct.unpack(">II", header[24:])
        salt = header[16:24] if sound else first[8:16]
        commits, readable, number = [], 0, 0
        for number, frame in enumerate(_frames(system, descriptor), 1):
            ours = frame[8:16] == salt
            if ours and frame[4:8] != bytes(4):
                commits.append(number)
            if sound:
                chain = _checksum(frame[:8] + frame[_FRAME_BYTES:], chain, magic) if ours else chain
                sound = ours and frame[:4] != bytes(4) and chain == struct.unpack(">II", frame[16:24])
                readable += sound
    return Log(magic, salt, tuple(commits), readable)


def mend(data: bytes, log: Log) -> bytes:
    """A log that SQLite reads to its last whole transaction.

    The last one may never have been finished: it is kept only when each of its frames verifies by the one before.
    """
    *earlier, last = log.commits
    before = earlier[-1] if earlier else 0
    whole = all(_verifies(data, log, number) for number in range(before + 1, last + 1))
    header = _HEADER.pack(log.magic, _VERSION, PAGE_BYTES, 0, log.salt)
    chain = _checksum(header, (0, 0), log.magic)
    mended = bytearray(header + struct.pack(">II", *chain))
    for number in range(1, (last if whole else before) + 1):
        frame = _frame(data, number)
        head = frame[:8]
        chain = _checksum(head + frame[_FRAME_BYTES:], chain, log.magic)
        mended += head + log.salt + struct.pack(">II", *chain) + frame[_FRAME_BYTES:]
    return bytes(mended)


def _frames(system: FileSystem, descriptor: int) -> Iterator[bytes]:
    """All whole frames."""
    offset = _HEADER_BYTES
    while chunk := system.read(descriptor, _FRAMES_READ * _SIZE, offset):
        offset += len(chunk)
        for start in range(0, len(chunk) - _SIZE + 1, _SIZE):
            yield chunk[start : start + _SIZE]


def _frame(data: bytes, number: int) -> bytes:
    start = _HEADER_BYTES + (number - 1) * _SIZE
    return data[start : start + _SIZE]


def _verifies(data: bytes, log: Log, number: int) -> bool:
    frame = _frame(data, number)
    before = data[24:32] if number == 1 else _frame(data, number - 1)[16:24]
    computed = _checksum(frame[:8] + frame[_FRAME_BYTES:], struct.unpack(">II", before), log.magic)
    return computed == struct.unpack(">II", frame[16:24])


def _checksum(data: bytes, seed: tuple[int, ...], magic: int) -> _Sum:
    words = struct.unpack(f"{'>' if magic == _BIG else '<'}{len(data) // 4}I", data)
    first, second = seed
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _MASK
        second = (second + odd + first) & _MASK
    return first, second
