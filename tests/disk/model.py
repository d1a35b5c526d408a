"""A disk that power may be cut from: which content of files and which names are there for good, and which are not yet.

What a file holds is there for good once the file was synced, a name once its folder was. All else, at a cut, may be
there, absent or torn. Two kinds of file system are known:

- strict: any of the names that were not synced may be missing, and any sector that was not synced, in any order, as
  POSIX allows;
- ordered: as ext4 with its journal. Changes of names take effect in order; a sync of a file takes with it all changes
  of names up to the last that concerned it. A file that grew holds what was written as far as it reaches.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Self

from tests.disk.trace import Call, Kind

_SECTOR, _PAGE = 512, 4096
Image = Mapping[str, bytes | None]
"""Paths from the folder on, parents first, with the content of each file; None: it is a folder."""


class Journal(enum.Enum):
    """The kinds of file system."""

    STRICT = enum.auto()
    ORDERED = enum.auto()


class Fate(enum.Enum):
    """What becomes at a cut of what was not synced."""

    LOST = enum.auto()
    KEPT = enum.auto()
    FIRST = enum.auto()
    """What was done first is there, the last of it torn."""
    SOME = enum.auto()
    """Any part of it is there."""
    ALL_BUT_ONE = enum.auto()


@dataclass(frozen=True, slots=True)
class Cut:
    """A way for the power to go."""

    journal: Journal
    names: Fate
    contents: Fate
    random: Random


@dataclass(slots=True, eq=False)
class File:
    """A file, whatever its name; a folder is one that stays empty."""

    folder: bool = False
    synced: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    """Data and its offset, or None and a new size; in order."""

    def sync(self) -> None:
        for change in self.pending:
            _apply(self.synced, *change)
        self.pending.clear()

    def now(self) -> bytes:
        """What a reader sees while the power is on."""
        content = bytearray(self.synced)
        for change in self.pending:
            _apply(content, *change)
        return bytes(content)

    def after_cut(self, cut: Cut) -> bytes:
        if cut.contents is Fate.KEPT or not self.pending:
            return self.now()
        if cut.contents is Fate.LOST:
            return bytes(self.synced)
        random = cut.random
        content = bytearray(self.synced)
        filling = random.choice((b"\0", b"\0", b"\0", b"\xa5"))
        for change in _survivors(self.pending, cut.contents, random):
            _apply(content, *change, filling)
        if cut.journal is Journal.ORDERED:
            # It reaches to somewhere between its old and its new end, and all is there up to that.
            live, old = self.now(), len(self.synced)
            content[old:] = live[old : random.randint(old, max(old, len(live)))]
        elif random.random() < 0.3:
            # Its size was written down, what it grew by was not.
            end = max((offset + len(data) for offset, data in self.pending if data is not None), default=0)
            content += filling * (end - len(content))
        return bytes(content)


@dataclass(slots=True, eq=False)
class Naming:
    """A change of names, which takes effect as a whole."""

    file: File
    old: str | None
    new: str | None
    unsynced: set[str]
    """Folders that are to be synced until it is there for good, where there is no journal."""

    def apply(self, names: dict[str, File]) -> None:
        if self.old is not None and names.get(self.old) is self.file:
            del names[self.old]
        if self.new is not None:
            names[self.new] = self.file


class Disk:
    """The files of one folder."""

    def __init__(self) -> None:
        self._files: dict[int, File] = {}
        """By inode, as it is now."""
        self._folders: dict[int, str] = {}
        self._names: dict[str, File] = {}
        """As a program sees them."""
        self._base: dict[str, File] = {}
        """Names that are there for good, in either kind of file system."""
        self._changes: list[Naming] = []
        """What came after that, in order."""
        self._journaled = 0
        """How many of the changes are there for good where there is a journal."""

    @classmethod
    def of(cls, folder: Path) -> Self:
        """The folder as it is; all of it is there for good."""
        disk = cls()
        disk._folders[folder.stat().st_ino] = ""
        for path in sorted(folder.rglob("*")):
            name, inode = str(path.relative_to(folder)), path.stat().st_ino
            file = File(True) if path.is_dir() else File(synced=bytearray(path.read_bytes()))
            disk._files[inode] = disk._names[name] = disk._base[name] = file
            if file.folder:
                disk._folders[inode] = name
        return disk

    def follow(self, call: Call) -> None:
        """Do what the program did."""
        match call.kind:
            case Kind.CREATE | Kind.MAKE_FOLDER:
                file = self._files[call.inode] = File(call.kind is Kind.MAKE_FOLDER)
                name = call.payload.decode()
                self._folders.pop(call.inode, None)  # a number may be given again
                if file.folder:
                    self._folders[call.inode] = name
                self._name(Naming(file, None, name, {_parent(name)}))
            case Kind.WRITE:
                self._files[call.inode].pending.append((call.number, call.payload))
            case Kind.RESIZE:
                self._files[call.inode].pending.append((call.number, None))
            case Kind.RENAME:
                old, new = call.payload.decode().split("\0")
                self._name(Naming(self._names[old], old, new, {_parent(old), _parent(new)}))
            case Kind.UNLINK:
                name = call.payload.decode()
                self._name(Naming(self._names[name], name, None, {_parent(name)}))
            case Kind.SYNC:
                self._sync(call.inode)
            case _:
                pass

    def now(self) -> Image:
        """What a program sees while the power is on."""
        return {name: None if file.folder else file.now() for name, file in sorted(self._names.items())}

    def after_cut(self, cut: Cut, within: str = "") -> Image:
        """What is there when the power comes back; `within`: of this folder only, from it on."""
        names = dict(self._base)
        for change in self._surviving(cut):
            change.apply(names)
        prefix = f"{within}/" if within else ""
        image: dict[str, bytes | None] = {}
        reached = {""}
        for name, file in sorted(names.items()):
            if _parent(name) not in reached:
                continue
            reached.add(name)
            if not name.startswith(prefix):
                continue
            image[name[len(prefix) :]] = None if file.folder else file.after_cut(cut)
        return image

    def _surviving(self, cut: Cut) -> Sequence[Naming]:
        changes, lost = self._changes, cut.names is Fate.LOST
        if cut.names is Fate.KEPT:
            return changes
        if cut.journal is Journal.ORDERED:
            return changes[: self._journaled if lost else cut.random.randint(self._journaled, len(changes))]
        chance = 0.0 if lost else cut.random.choice((0.2, 0.5, 0.8))
        return [change for change in changes if not change.unsynced or cut.random.random() < chance]

    def _name(self, change: Naming) -> None:
        change.apply(self._names)
        self._changes.append(change)

    def _sync(self, inode: int) -> None:
        folder = self._folders.get(inode)
        if folder is None:
            self._files[inode].sync()
        last = 0
        for number, change in enumerate(self._changes, 1):
            if change.file is self._files.get(inode) or folder in change.unsynced:
                last = number
            if folder is not None:
                change.unsynced.discard(folder)
        self._journaled = max(self._journaled, last)
        while self._changes and self._journaled and not self._changes[0].unsynced:
            self._changes.pop(0).apply(self._base)
            self._journaled -= 1


def _parent(name: str) -> str:
    return name.rpartition("/")[0]


def write_image(image: Image, folder: Path) -> None:
    """Make a folder that holds it."""
    folder.mkdir(parents=True)
    for name, content in image.items():
        if content is None:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(content)


def _survivors(
    pending: Sequence[tuple[int, bytes | None]], fate: Fate, random: Random
) -> Sequence[tuple[int, bytes | None]]:
    unit = random.choice((_SECTOR, _PAGE, 1 << 30))
    pieces = list(_pieces(pending, unit))
    if fate is Fate.FIRST:
        return pieces[: random.randint(0, len(pieces))]
    if fate is Fate.ALL_BUT_ONE:
        missing = random.randrange(len(pieces))
        return pieces[:missing] + pieces[missing + 1 :]
    chance = random.choice((0.1, 0.5, 0.9))
    return [piece for piece in pieces if random.random() < chance]


def _pieces(pending: Sequence[tuple[int, bytes | None]], unit: int) -> Iterator[tuple[int, bytes | None]]:
    """Each write in parts that are written whole or not at all: those that end at a multiple of `unit`."""
    for offset, data in pending:
        if data is None:
            yield offset, None
            continue
        start = 0
        while start < len(data):
            end = min(len(data), (offset + start) // unit * unit + unit - offset)
            yield offset + start, data[start:end]
            start = end


def _apply(content: bytearray, offset: int, data: bytes | None, filling: bytes = b"\0") -> None:
    content += filling * (offset - len(content))
    if data is None:
        del content[offset:]
    else:
        content[offset : offset + len(data)] = data
