"""Damage in a segment's write-ahead log.

SQLite reads a log up to the first frame that does not verify and takes that for its end. After a power cut that is
right: the rest was never acknowledged. But where whole transactions follow, that frame was once on disk and has been
damaged since, and SQLite would drop acknowledged batches in silence. Then the checksums of header and frames are
computed anew, so that SQLite reads them all; a damaged page among them shows as a damaged page, and each batch has a
checksum of its own.

Source: SQLite, "Database File Format", section 4.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from exporter.buffer.schema import PAGE_BYTES

_HEADER = struct.Struct(">IIII8s")
_HEADER_BYTES, _FRAME_BYTES = 32, 24
_SIZE = _FRAME_BYTES + PAGE_BYTES
_VERSION = 3007000
_LITTLE, _BIG = 0x377F0682, 0x377F0683
_MASK = 0xFFFFFFFF
_Sum = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Log:
    """What the headers of a log's frames say."""

    magic: int
    salt: bytes
    """What all frames of the log's present use carry."""
    commits: tuple[int, ...]
    """Numbers, from 1, of the frames that end a transaction."""

    def lost(self, read: int) -> int:
        """Transactions behind the first `read` frames, which are those that SQLite took."""
        return sum(commit > read for commit in self.commits)


def inspect(file: Path) -> Log | None:
    """Read the headers. None: there is no log, or nothing in it."""
    try:
        stream = file.open("rb")
    except FileNotFoundError:
        return None
    with stream:
        header, frame = stream.read(_HEADER_BYTES), stream.read(_FRAME_BYTES)
        if len(frame) < _FRAME_BYTES:
            return None
        magic = int.from_bytes(header[:4])
        magic = magic if magic in {_LITTLE, _BIG} else _LITTLE
        sound = _checksum(header[:24], (0, 0), magic) == struct.unpack(">II", header[24:])
        salt = header[16:24] if sound else frame[8:16]
        commits, number = [], 0
        while len(frame) == _FRAME_BYTES:
            number += 1
            if frame[8:16] == salt and frame[4:8] != bytes(4):
                commits.append(number)
            stream.seek(PAGE_BYTES, 1)
            frame = stream.read(_FRAME_BYTES)
    return Log(magic, salt, tuple(commits))


def readable(data: bytes, log: Log) -> int:
    """How many of the first frames SQLite would read, where it cannot be asked: its own checkpoint needs room."""
    if _checksum(data[:24], (0, 0), log.magic) != struct.unpack(">II", data[24:_HEADER_BYTES]):
        return 0
    for number in range(1, log.commits[-1] + 1):
        if _frame(data, number)[8:16] != log.salt or not _verifies(data, log, number):
            return number - 1
    return log.commits[-1]


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
