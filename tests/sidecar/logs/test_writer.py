"""Lines to pipes that nobody reads, to readers that have gone, to a disk that is full."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sidecar.logs.writer import LineWriter

_PATIENCE = 10.0
_PIPE_BYTES = 4096
"""The smallest that Linux makes (pipe(7))."""


class Pipe:
    """A small pipe and those who write to it."""

    def __init__(self) -> None:
        self.reader, self.descriptor = os.pipe()
        fcntl.fcntl(self.descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._writers: list[LineWriter] = []

    def line_writer(self, **bounds: int) -> LineWriter:
        self._writers.append(line_writer(self.descriptor, **bounds))
        return self._writers[-1]

    def read(self, size: int = 1 << 20) -> bytes:
        return os.read(self.reader, size)

    def read_until(self, end: bytes) -> bytes:
        text = b""
        while not text.endswith(end):
            text += self.read()
        return text

    def close_reader(self) -> None:
        if self.reader >= 0:
            os.close(self.reader)
            self.reader = -1

    def close(self) -> None:
        self.close_reader()
        # Their threads must be done with the descriptor before somebody else gets its number.
        assert all(writer.flush(_PATIENCE) for writer in self._writers)
        os.close(self.descriptor)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    opened = Pipe()
    yield opened
    opened.close()


def line_writer(descriptor: int, **bounds: int) -> LineWriter:
    return LineWriter(descriptor, lambda lines: f"dropped {lines}\n", **bounds)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_lines_come_out_in_order(pipe: Pipe) -> None:
    writer = pipe.line_writer()

    for number in range(100):
        writer.write(f"{number}\n")

    assert writer.flush(_PATIENCE)
    assert pipe.read().split() == [str(number).encode() for number in range(100)]


def test_write_to_a_pipe_that_nobody_reads_neither_waits_nor_raises_and_is_bounded(pipe: Pipe) -> None:
    writer = pipe.line_writer(max_lines=100)
    started = time.monotonic()

    for _ in range(100_000):
        writer.write("x" * 99 + "\n")

    assert time.monotonic() - started < _PATIENCE
    # What the pipe holds, what the thread has taken, what the queue holds.
    assert writer.dropped > 100_000 - 1000
    assert not writer.flush(0.01)


def test_lines_in_the_queue_are_bounded_in_bytes(pipe: Pipe) -> None:
    writer = pipe.line_writer(max_bytes=10_000)

    for _ in range(100):
        writer.write("x" * 999 + "\n")

    wait_until(lambda: writer.dropped >= 75)


def test_line_says_how_many_were_dropped_once_there_is_room(pipe: Pipe) -> None:
    writer = pipe.line_writer(max_lines=10)
    written = 0
    while not writer.dropped:
        writer.write(f"{written:099}\n")
        written += 1

    text = pipe.read_until(b"dropped 1\n")
    writer.write("after\n")
    text += pipe.read_until(b"after\n")

    assert text.splitlines() == [f"{n:099}".encode() for n in range(written - 1)] + [b"dropped 1", b"after"]


def test_line_says_how_many_were_dropped_in_their_place_when_lines_keep_coming(pipe: Pipe) -> None:
    writer = pipe.line_writer(max_lines=10)
    written = 0
    while writer.dropped < 3:
        writer.write(f"{written:099}\n")
        written += 1
    pipe.read(_PIPE_BYTES)

    # From now on the queue is never empty.
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            writer.write(f"{'more':>99}\n")

    flooding = threading.Thread(target=flood)
    flooding.start()
    text = b""
    while b"dropped" not in text:  # the test's own time limit ends it
        text += pipe.read()
    stop.set()
    while flooding.is_alive():
        pipe.read()
        flooding.join(0.001)


def test_reader_that_has_gone_costs_lines_and_nothing_else(pipe: Pipe) -> None:
    pipe.close_reader()
    writer = pipe.line_writer()

    for _ in range(10):
        writer.write("x\n")

    assert writer.flush(_PATIENCE)
    assert writer.dropped == 10


def test_reader_that_comes_back_is_told_how_many_are_missing(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    descriptor = os.open(fifo, os.O_WRONLY)
    os.close(reader)
    writer = line_writer(descriptor)
    for _ in range(3):
        writer.write("lost\n")
    assert writer.flush(_PATIENCE)

    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer.write("back\n")

    assert writer.flush(_PATIENCE)
    assert os.read(reader, 1000) == b"back\ndropped 3\n"
    os.close(reader)
    os.close(descriptor)


def test_full_device_costs_lines_and_nothing_else() -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    writer = line_writer(descriptor)

    writer.write("x\ny\n")

    assert writer.flush(_PATIENCE)
    assert writer.dropped == 2
    os.close(descriptor)


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EIO, errno.EBADF, errno.EPIPE, errno.EFBIG])
def test_line_cut_off_by_a_failure_is_ended_before_the_next_begins(
    monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    disk = bytearray()
    room = 5

    def write(_descriptor: int, data: memoryview) -> int:
        if len(disk) >= room:
            raise OSError(reason, os.strerror(reason))
        part = bytes(data[: room - len(disk)])
        disk.extend(part)
        return len(part)

    monkeypatch.setattr("sidecar.logs.writer.os.write", write)
    writer = line_writer(-1)
    writer.write("aa\nbbb\n")
    assert writer.flush(_PATIENCE)
    writer.write("dd\n")
    assert writer.flush(_PATIENCE)

    room = 1000
    writer.write("ee\n")

    assert writer.flush(_PATIENCE)
    assert disk == b"aa\nbb\nee\ndropped 2\n"
    assert writer.dropped == 2


def test_pipe_that_somebody_made_nonblocking_gets_whole_lines(pipe: Pipe) -> None:
    os.set_blocking(pipe.descriptor, False)
    writer = pipe.line_writer()
    lines = [f"{number:0999}".encode() for number in range(100)]

    for line in lines:
        writer.write(line.decode() + "\n")

    text = pipe.read_until(lines[-1] + b"\n")
    assert text.splitlines() == lines
    assert writer.dropped == 0


def test_half_a_character_is_written_as_an_escape(pipe: Pipe) -> None:
    writer = pipe.line_writer()

    writer.write("\ud800\n")

    assert writer.flush(_PATIENCE)
    assert pipe.read() == b"\\ud800\n"


def test_writes_of_many_threads_keep_lines_whole_and_lose_none(pipe: Pipe) -> None:
    writer = pipe.line_writer()

    def work(name: int) -> None:
        for number in range(500):
            writer.write(f"{name} {number:050}\n")

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    text = b""
    while text.count(b"\n") < 2000:
        text += pipe.read()

    for thread in threads:
        thread.join()
    assert sorted(text.splitlines()) == sorted(f"{name} {n:050}".encode() for name in range(4) for n in range(500))
