"""Damage in a segment's write-ahead log.

SQLite reads a log up to the first frame that does not verify and takes that for its end. After a power cut that is
right: the rest was never acknowledged. But where a batch was stored behind that frame, and something else was written
after it, the frame was once on disk and has been damaged since: storing a batch ends with an fsync, and SQLite would
drop acknowledged batches in silence. Then the checksums of header and frames are computed anew, so that SQLite reads
them all; a damaged page among them shows as a damaged page, and each batch has a checksum of its own.

Whole transactions alone prove nothing: removals end without an fsync, so a power cut may leave any of the last ones,
and tear others before them. Made readable, these would mix the pages of several moments.

SQLite deletes a log when its last connection is closed. So all this is looked at before SQLite opens the file.

Source: SQLite, "Database File Format", section 4.
"""

from __future__ import annotations

import math
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
_FIRST_PAGE = (1).to_bytes(4)
_TABLE_LEAF = 0x0D
"""First byte of a page that holds rows of a table with row numbers: `batches` and `payloads` are the only ones.
Source: section 1.6."""
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
    end: int
    """The last frame to be read: what follows was never finished."""

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
        sound = _sum(_checksum(header[:24], (0, 0), magic)) == header[24:]
        salt = header[16:24] if sound else first[8:16]
        before, readable = header[24:], 0
        commits: list[int] = []
        bad: list[int] = []
        """Frames that do not verify by the one before."""
        stored = synced = 0
        """Where a batch was stored last, and where one was that something else was written after."""
        storing = False
        for number, frame in enumerate(_frames(system, descriptor), 1):
            ours = frame[8:16] == salt
            chain = struct.unpack(">II", before)
            good = ours and _sum(_checksum(frame[:8] + frame[_FRAME_BYTES:], chain, magic)) == frame[16:24]
            before = frame[16:24]
            sound = sound and good
            readable += sound
            if not good:
                bad.append(number)
            if not ours:
                continue
            synced = stored
            storing = storing or _stores_batch(frame)
            if frame[4:8] != bytes(4):
                commits.append(number)
                stored, storing = (number, False) if storing else (stored, False)
    torn = next((number for number in bad if number > synced), math.inf)
    end = max((commit for commit in commits if commit < torn), default=0)
    return Log(magic, salt, tuple(commits), readable, end)


def mend(data: bytes, log: Log) -> bytes:
    """A log that SQLite reads to its end."""
    header = _HEADER.pack(log.magic, _VERSION, PAGE_BYTES, 0, log.salt)
    chain = _checksum(header, (0, 0), log.magic)
    mended = bytearray(header + _sum(chain))
    for number in range(1, log.end + 1):
        frame = _frame(data, number)
        head = frame[:8]
        chain = _checksum(head + frame[_FRAME_BYTES:], chain, log.magic)
        mended += head + log.salt + _sum(chain) + frame[_FRAME_BYTES:]
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


def _stores_batch(frame: bytes) -> bool:
    """Whether it is part of a transaction that stores a batch. Removals write other kinds of pages only."""
    return frame[_FRAME_BYTES] == _TABLE_LEAF and frame[:4] != _FIRST_PAGE


def _sum(checksum: _Sum) -> bytes:
    return struct.pack(">II", *checksum)


def _checksum(data: bytes, seed: tuple[int, ...], magic: int) -> _Sum:
    words = struct.unpack(f"{'>' if magic == _BIG else '<'}{len(data) // 4}I", data)
    first, second = seed
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _MASK
        second = (second + odd + first) & _MASK
    return first, second
