from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.disk.library import environment
from tests.disk.model import Cut, Disk, Fate, Image, Journal, write_image
from tests.disk.trace import Kind, Marker, read_trace

Cutter = Callable[..., Image]
_HELPERS = """
import os, sys
def make(name, data, sync=False):
    file = os.open(name, os.O_RDWR | os.O_CREAT)
    os.write(file, data)
    if sync:
        os.fsync(file)
    os.close(file)
def sync(name):
    file = os.open(name, os.O_RDONLY)
    os.fsync(file)
    os.close(file)
"""


class Traced:
    """A program that ran in a folder, and the disk it leaves."""

    def __init__(self, library: Path, root: Path) -> None:
        self._library = library
        self.folder = root / "disk"
        self._trace = root / "trace"
        self.folder.mkdir()
        self._base = Disk.of(self.folder)

    def run(self, program: str, marks: tuple[str, ...] = ()) -> Disk:
        command = [sys.executable, "-c", _HELPERS + program]
        variables = {**os.environ, **environment(self._library, self.folder, trace=self._trace)}
        subprocess.run(command, check=True, cwd=self.folder, env=variables, timeout=30)
        for call in read_trace(self._trace):
            self._base.follow(call)
        return self._base


@pytest.fixture
def traced(disk_library: Path, tmp_path: Path) -> Traced:
    return Traced(disk_library, tmp_path)


def cut(journal: Journal, names: Fate, contents: Fate, seed: int = 1) -> Cut:
    return Cut(journal, names, contents, Random(seed))


def test_what_was_written_without_a_sync_is_gone_or_there(traced: Traced) -> None:
    disk = traced.run("make('file', b'new')")

    assert disk.after_cut(cut(Journal.STRICT, Fate.LOST, Fate.LOST)) == {}
    assert disk.after_cut(cut(Journal.STRICT, Fate.KEPT, Fate.LOST)) == {"file": b""}
    assert disk.after_cut(cut(Journal.STRICT, Fate.KEPT, Fate.KEPT)) == {"file": b"new"}


def test_file_that_was_synced_in_a_folder_that_was_not_needs_a_journal_to_be_there(traced: Traced) -> None:
    disk = traced.run("make('file', b'new', sync=True)")

    assert disk.after_cut(cut(Journal.STRICT, Fate.LOST, Fate.LOST)) == {}
    assert disk.after_cut(cut(Journal.ORDERED, Fate.LOST, Fate.LOST)) == {"file": b"new"}


@pytest.mark.parametrize("journal", Journal)
def test_file_and_folder_that_were_synced_are_there(traced: Traced, journal: Journal) -> None:
    disk = traced.run("os.mkdir('a'); make('a/file', b'new', sync=True); sync('a'); sync('.')")

    for seed in range(20):
        for fate in Fate:
            assert disk.after_cut(cut(journal, fate, fate, seed)) == {"a": None, "a/file": b"new"}


def test_file_in_a_new_folder_that_was_not_synced_into_its_parent_is_gone(traced: Traced) -> None:
    disk = traced.run("os.mkdir('a'); make('a/file', b'new', sync=True); sync('a')")

    assert disk.after_cut(cut(Journal.STRICT, Fate.LOST, Fate.LOST)) == {}


@pytest.mark.parametrize("journal", Journal)
def test_rename_that_was_not_synced_leaves_one_of_both_names(traced: Traced, journal: Journal) -> None:
    disk = traced.run(
        "make('new', b'new', sync=True); make('file', b'old', sync=True); sync('.'); os.rename('new', 'file')"
    )

    assert disk.after_cut(cut(journal, Fate.LOST, Fate.LOST)) == {"file": b"old", "new": b"new"}
    assert disk.after_cut(cut(journal, Fate.KEPT, Fate.LOST)) == {"file": b"new"}


@pytest.mark.parametrize("journal", Journal)
def test_unlink_that_was_not_synced_may_come_to_nothing(traced: Traced, journal: Journal) -> None:
    disk = traced.run("make('file', b'new', sync=True); sync('.'); os.unlink('file')")

    assert disk.after_cut(cut(journal, Fate.LOST, Fate.LOST)) == {"file": b"new"}
    assert disk.after_cut(cut(journal, Fate.KEPT, Fate.LOST)) == {}


def test_write_that_was_not_synced_is_torn_at_sectors(traced: Traced) -> None:
    disk = traced.run("""
make("file", b"o" * 8192, sync=True)
sync(".")
os.pwrite(os.open("file", os.O_RDWR), b"n" * 5000, 100)
""")
    images = [disk.after_cut(cut(Journal.STRICT, Fate.LOST, Fate.SOME, seed))["file"] or b"" for seed in range(60)]

    written = [bytes(image[100:5100]) for image in images]
    assert all(len(image) == 8192 and image[:100] + image[5100:] == b"o" * 3192 for image in images)
    assert all(len({*part[i + 412 : i + 924]}) == 1 for part in written for i in range(0, 4000, 512))
    assert any(0 < part.count(b"n") < 5000 for part in written)
    assert any(part.startswith(b"o") and part.endswith(b"n") for part in written)


def test_names_with_a_journal_appear_in_the_order_in_which_they_were_made(traced: Traced) -> None:
    disk = traced.run("for name in 'abcd': make(name, b'')")

    images = {tuple(disk.after_cut(cut(Journal.ORDERED, Fate.SOME, Fate.LOST, seed))) for seed in range(40)}

    assert images == {tuple("abcd"[:count]) for count in range(5)}


def test_names_without_a_journal_appear_in_any_order(traced: Traced) -> None:
    disk = traced.run("for name in 'abcd': make(name, b'')")

    images = {tuple(disk.after_cut(cut(Journal.STRICT, Fate.SOME, Fate.LOST, seed))) for seed in range(200)}

    assert ("d",) in images
    assert len(images) == 16


def test_file_with_a_journal_holds_what_was_written_as_far_as_it_reaches(traced: Traced) -> None:
    disk = traced.run("""
make("file", b"start", sync=True)
with open("file", "ab") as stream:
    stream.write(bytes(range(256)) * 40)
""")
    whole = b"start" + bytes(range(256)) * 40

    ends = set()
    for seed in range(40):
        content = disk.after_cut(cut(Journal.ORDERED, Fate.LOST, Fate.SOME, seed))["file"] or b""
        assert whole.startswith(content)
        ends.add(len(content))

    assert min(ends) >= 5
    assert len(ends) > 10


def test_model_follows_every_way_to_change_a_folder(traced: Traced, tmp_path: Path) -> None:
    disk = traced.run("""
import pathlib, shutil, tempfile
os.makedirs("a/b/c")
make("a/one", b"x" * 10_000, sync=True)
shutil.copyfile("a/one", "a/two")
source, target = os.open("a/one", os.O_RDONLY), os.open("a/four", os.O_WRONLY | os.O_CREAT)
os.copy_file_range(source, target, 100, 7, 3)
os.truncate("a/two", 77)
with open("a/two", "ab") as stream:
    stream.write(b"end")
file = os.open("a/three", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
os.writev(file, [b"ab", b"cd"])
os.pwritev(file, [b"X", b"Y"], 20)
os.ftruncate(file, 30)
os.posix_fallocate(file, 0, 50)
os.lseek(file, 5, os.SEEK_SET)
os.write(file, b"five")
os.close(file)
os.rename("a/three", "a/one")
pathlib.Path("a/two").write_bytes(b"over")
os.replace("a/two", "a/b/two")
folder = os.open("a", os.O_RDONLY)
os.mkdir("made", dir_fd=folder)
os.close(os.open("inner", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
os.rename("inner", "made/inner", src_dir_fd=folder, dst_dir_fd=folder)
os.rmdir("a/b/c")
os.unlink("a/made/inner")
""")

    assert disk.now() == Disk.of(traced.folder).now()
    assert list(disk.now()) == ["a", "a/b", "a/b/two", "a/four", "a/made", "a/one"]
    write_image(disk.now(), tmp_path / "image")
    assert Disk.of(tmp_path / "image").now() == disk.now()


def test_trace_with_what_cannot_be_followed_is_refused(traced: Traced) -> None:
    with pytest.raises(ValueError, match="shared memory"):
        traced.run("import mmap; make('file', bytes(4096)); mmap.mmap(os.open('file', os.O_RDWR), 4096)")


def test_mark_behind_a_sync_comes_behind_it_in_the_trace(disk_library: Path, tmp_path: Path) -> None:
    trace, folder = tmp_path / "trace", tmp_path / "disk"
    folder.mkdir()
    program = _HELPERS + "make('file', b'new', sync=True); print(flush=True); sys.stdin.readline(); make('more', b'')"
    variables = {**os.environ, **environment(disk_library, folder, trace=trace)}

    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=folder, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        with Marker(trace) as mark:
            mark("seen")
        child.stdin.close()

    kinds = [call.kind for call in read_trace(trace)]
    assert kinds == [Kind.CREATE, Kind.WRITE, Kind.SYNC, Kind.MARK, Kind.CREATE]
