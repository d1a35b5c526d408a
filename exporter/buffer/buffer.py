"""The retry buffer, for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, Self, TypeVar

import structlog
from zstandard import ZstdError

from exporter.batch import Batch
from exporter.buffer.aside import DamagedFile
from exporter.buffer.codec import Codec, Record
from exporter.buffer.config import BufferConfig
from exporter.buffer.errors import FILE_ERRORS, BufferUnavailable, Damaged, UnknownFile, describe
from exporter.buffer.failures import SegmentFailed
from exporter.buffer.file_system import FileSystem, RealFileSystem
from exporter.buffer.group_writer import GroupWriter
from exporter.buffer.report import BufferState, VerifyReport
from exporter.buffer.restore import Contents
from exporter.buffer.store import Store
from exporter.buffer.telemetry import BufferMetrics
from exporter.interfaces import READ_BYTES, Backlog, StoredBatch
from exporter.signals import SIGNALS
from exporter.supervision import Supervisor

_log = structlog.get_logger(__name__)

_SMALL = 64 << 10
"""Bytes up to which compressing on the loop takes less time than going to a thread."""

P = ParamSpec("P")
T = TypeVar("T")


class RetryBuffer:
    """A `BatchBuffer` in a folder. All file work is done in one thread, compressing and checking in another."""

    def __init__(self, store: Store, files: ThreadPoolExecutor, commit_interval: float, tasks: Supervisor) -> None:
        self._store = store
        self._files = files
        self._appends = GroupWriter(store, self._call, commit_interval)
        self._codec = Codec()
        self._codec_thread = ThreadPoolExecutor(1, "buffer-codec")
        self._closing = False
        self._on_return: Callable[[], None] = _nobody
        self._troubled = asyncio.Event()
        self._restoring = asyncio.Lock()
        self._closed: asyncio.Task[None] | None = None
        self._writer = tasks.start("retry buffer", self._appends.run, may_return=True)
        self._repairer = tasks.start("retry buffer files", self._try_again)

    @classmethod
    async def open(
        cls,
        config: BufferConfig,
        destinations: Sequence[str],
        metrics: BufferMetrics,
        tasks: Supervisor | None = None,
        system: FileSystem | None = None,
    ) -> Self:
        """Open a buffer for these destinations; what waits for others stays and is reported.

        `tasks`: the owner of those that write and try again. `system`: where the files are, if not on this machine's.

        Raises:
            BufferOpenError: the text says what to do.
        """
        files = ThreadPoolExecutor(1, "buffer-files")
        store = Store(config, destinations, metrics, system or RealFileSystem())
        try:
            await asyncio.get_running_loop().run_in_executor(files, store.open)
        except BaseException:
            files.shutdown(wait=False)
            raise
        return cls(store, files, config.commit_interval, tasks or Supervisor())

    async def append(self, batch: Batch, destination: str) -> None:
        """Return once the batch is on disk for good. One that waits there already is not stored twice.

        A caller that is cancelled leaves the batch stored or not.

        Raises:
            BufferFull: there is no room.
            BufferUnavailable: the disk failed.
            BatchTooLarge: it takes more than the whole buffer may.
        """
        record = await self._encode(batch)
        if self._closing:
            raise BufferUnavailable("the retry buffer is closed")
        await self._appends.write(record, destination)

    async def oldest(
        self,
        destination: str,
        limit: int,
        after: int = 0,
        *,
        max_bytes: int = READ_BYTES,
        signals: Sequence[str] | None = None,
    ) -> Sequence[StoredBatch]:
        """The first batches behind position `after`, oldest first: at most `limit`, and `max_bytes` of payload.

        One that is larger comes alone. `signals`: batches of these only, by name.
        Damaged ones are set aside, counted and passed over; so are those of signals that this version does not know,
        and those that cannot be read now, which stay. None are returned only when there are no others.

        Raises:
            BufferUnavailable: the disk failed, or the buffer is closed.
        """
        wanted = tuple(SIGNALS) if signals is None else signals
        while found := await self._in_files(self._store.read, destination, limit, after, max_bytes, wanted):
            batches: list[StoredBatch] = []
            for position, outcome in await self._decode(found):
                if isinstance(outcome, Damaged):
                    await self._in_files(self._store.set_aside, position, str(outcome))
                else:
                    batches.append(StoredBatch(position, outcome))
            if batches:
                return batches
            after = found[-1][0]
        return []

    async def remove(self, destination: str, positions: Sequence[int]) -> None:
        """These need not wait for the destination any longer.

        A power cut just after may bring them back, which costs a replay and makes no second record.
        """
        await self._in_files(self._store.remove, destination, positions)

    def status(self) -> Mapping[str, Backlog]:
        """The backlog of each destination, also of those that are not configured but that batches wait for."""
        return self._store.status

    def state(self) -> BufferState:
        """How the buffer's files are: what they take, what was set aside, what cannot be read now. From memory."""
        return self._store.state

    def on_return(self, callback: Callable[[], None]) -> None:
        """Have a function called whenever batches that could not be read can be read again."""
        self._on_return = callback

    async def drop(self, destination: str) -> Backlog:
        """Throw away what waits for a destination, and return what it was. For those that will never come back."""
        return await self._in_files(self._store.drop, destination)

    async def damaged(self) -> Sequence[tuple[DamagedFile, Contents]]:
        """The files that were set aside, the oldest first, and what can be read in them."""
        found = await self._in_files(self._store.damaged)
        return [(file, await self._read_damaged(file.name, dry=True)) for file in found]

    async def restore(self, names: Sequence[str]) -> Mapping[str, Contents]:
        """Bring the batches of damaged files back to wait for their destinations; of all that were not, without names.

        What is intact and does not wait already comes back. A file of which nothing more can be had is marked so.

        Raises:
            UnknownFile: there is no such file.
            BufferUnavailable: the disk failed.
        """
        known = {file.name: file for file in await self._in_files(self._store.damaged)}
        for name in names:
            if name not in known:
                raise UnknownFile(f"no file that was set aside is called {name!r}")
        results = {}
        for name in names or [file.name for file in known.values() if not file.restored]:
            results[name] = contents = await self._read_damaged(name, dry=False)
            if not contents.problem:
                await self._in_files(self._store.mark_restored, name)
        self._on_return()
        return results

    async def purge(self, names: Sequence[str]) -> Mapping[str, int]:
        """Delete damaged files for good, all without names. Returns the bytes that each took.

        Raises:
            UnknownFile: there is no such file.
            BufferUnavailable: the disk failed.
        """
        chosen = names or [file.name for file in await self._in_files(self._store.damaged)]
        return {name: await self._in_files(self._store.purge, name) for name in chosen}

    async def _read_damaged(self, name: str, *, dry: bool) -> Contents:
        async with self._restoring:
            restoration = await self._in_files(self._store.begin_restoring, name, dry=dry)
            try:
                while await self._in_files(self._store.step, restoration):
                    pass  # in between, batches are appended
            finally:
                self._files.submit(restoration.close)
        return restoration.contents

    async def verify(self) -> VerifyReport:
        """Read and check everything; change nothing. Appends wait meanwhile."""
        return await self._in_files(self._store.verify)

    async def close(self) -> None:
        """Write what is being appended, then close. Returns once it is closed, whoever asked first.

        Whatever fails, the files and threads are given back. A caller that is cancelled stops waiting, no more.
        """
        if self._closed is None:
            self._closed = asyncio.create_task(self._close(), name="closing the retry buffer")
        await asyncio.shield(self._closed)

    async def _close(self) -> None:
        self._closing = True
        self._appends.finish()
        try:
            await self._repairer.stop()
            await self._writer.finish()
        finally:
            try:
                await asyncio.get_running_loop().run_in_executor(self._files, self._store.close)
            except Exception:
                _log.exception("the retry buffer could not be closed as it should")
            finally:
                self._appends.give_up()
                self._files.shutdown(wait=False)
                self._codec_thread.shutdown(wait=False)

    async def _in_files(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._closing:
            raise BufferUnavailable("the retry buffer is closed")
        try:
            return await self._call(function, *args, **kwargs)
        except (SegmentFailed, Damaged, *FILE_ERRORS) as error:
            raise BufferUnavailable(f"the retry buffer cannot be read or written: {describe(error)}") from error

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do something in the files' thread."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._files, lambda: function(*args, **kwargs))
        finally:
            if self._store.state.unreadable:
                self._troubled.set()

    async def _try_again(self) -> None:
        """Read again what could not be read, when it is time for it."""
        while True:
            due = self._store.next_try
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._troubled.wait()  # something new may be due earlier
            self._troubled.clear()
            if (
                due is not None
                and due <= asyncio.get_running_loop().time()
                and await self._in_files(self._store.try_again)
            ):
                self._on_return()

    async def _encode(self, batch: Batch) -> Record:
        try:
            if self._closing or len(batch.payload) <= _SMALL:
                return self._codec.encode(batch)
            return await asyncio.get_running_loop().run_in_executor(self._codec_thread, self._codec.encode, batch)
        except (MemoryError, ZstdError) as error:
            raise BufferUnavailable(f"a batch cannot be compressed now: {describe(error)}") from error

    async def _decode(self, found: Sequence[tuple[int, Record]]) -> Sequence[tuple[int, Batch | Damaged]]:
        def decode(record: Record) -> Batch | Damaged:
            try:
                return self._codec.decode(record)
            except Damaged as error:
                return error

        def decode_all() -> Sequence[tuple[int, Batch | Damaged]]:
            return [(position, decode(record)) for position, record in found]

        return await asyncio.get_running_loop().run_in_executor(self._codec_thread, decode_all)


def _nobody() -> None:
    """Who is told when nobody wants to know."""
