"""The admin service of protos/admin.proto over a delivery and its buffer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import grpc
import grpc.aio
from google.protobuf.timestamp_pb2 import Timestamp

from exporter.buffer import BufferState, Contents, RetryBuffer, UnknownFile
from exporter.delivery import Delivery, Lane, LetterBox
from exporter.delivery.letter_box import Letter, UnknownLetter
from exporter.errors import DestinationUnavailable, Unavailable
from exporter.interfaces import Backlog
from exporter.mongodb import Health
from protos import admin_pb2 as pb
from protos import admin_pb2_grpc

_DRAIN_REPORT_SECONDS = 1.0
OTHERS = "documents-of-others"
"""Trailing metadata of calls about dead letters (protos/admin.proto)."""
_LETTERS_LISTED = 100
_EXPORT_ROUND = 16
"""Batches of an export that are in memory at a time."""

_ASK_SECONDS = 5.0
"""For a destination to answer, when it is asked for its status."""


class Probed(Protocol):
    """What the service asks of a destination beside its delivery."""

    def health(self) -> Health: ...
    async def ping(self) -> None: ...


Context = grpc.aio.ServicerContext[Any, Any]
T = TypeVar("T")


class AdminService(admin_pb2_grpc.AdminServicer):
    """Its methods' contracts are in the `.proto`."""

    def __init__(
        self,
        delivery: Delivery,
        buffer: RetryBuffer,
        letters: Mapping[str, LetterBox],
        destinations: Mapping[str, Probed] = MappingProxyType({}),
        *,
        ask_first: bool = False,
    ) -> None:
        """`letters`, `destinations`: by the destination's name.

        `ask_first`: nothing is sent to the destinations that would tell how they do: ask them for the status.
        """
        self._destinations = destinations
        self._ask_first = ask_first
        self._delivery = delivery
        self._buffer = buffer
        self._letters = letters

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.GetStatusResponse:  # noqa: ARG002, N802
        if self._ask_first:
            await asyncio.gather(*map(_ask, self._destinations.values()))
        return self._status()

    async def Drain(self, request: pb.DrainRequest, context: Context) -> AsyncIterator[pb.GetStatusResponse]:  # noqa: ARG002, N802
        if stranded := [name for name, backlog in self._buffer.status().items() if self._is_stranded(name, backlog)]:
            reason = f"batches wait for {', '.join(stranded)}, which no setting names: set its URI, or drop them"
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, reason)
        for replayer in self._delivery.replayers.values():
            replayer.resume()
        while not await self._drained_within(_DRAIN_REPORT_SECONDS):
            yield self._status()
        yield self._status()

    async def PauseReplay(self, request: pb.PauseReplayRequest, context: Context) -> pb.GetStatusResponse:  # noqa: N802
        for name in await self._chosen(request.destination, context):
            self._delivery.replayers[name].pause()
        return self._status()

    async def ResumeReplay(self, request: pb.ResumeReplayRequest, context: Context) -> pb.GetStatusResponse:  # noqa: N802
        for name in await self._chosen(request.destination, context):
            self._delivery.replayers[name].resume()
        return self._status()

    async def VerifyBuffer(self, request: pb.VerifyBufferRequest, context: Context) -> pb.VerifyBufferResponse:  # noqa: ARG002, N802
        report = await _answered(self._buffer.verify(), context)
        return pb.VerifyBufferResponse(
            batches=report.batches,
            records=report.records,
            damage=report.damage,
            untouched=report.untouched,
            unreadable=report.unreadable,
        )

    async def ExportBuffer(  # noqa: N802
        self, request: pb.ExportBufferRequest, context: Context
    ) -> AsyncIterator[pb.BufferedBatch]:
        await self._check_in_buffer(request.destination, context)
        after = 0
        while stored := await _answered(self._buffer.oldest(request.destination, _EXPORT_ROUND, after), context):
            for item in stored:
                yield pb.BufferedBatch(
                    signal=item.batch.signal.name,
                    records=item.batch.records,
                    received=_timestamp(item.batch.received_unix_nano),
                    payload=item.batch.payload,
                )
            after = stored[-1].position

    async def DropBuffer(self, request: pb.DropBufferRequest, context: Context) -> pb.DropBufferResponse:  # noqa: N802
        if request.destination in self._delivery.pipelines:
            reason = f"batches wait for {request.destination!r}, which the settings name: drain them"
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, reason)
        await self._check_in_buffer(request.destination, context)
        dropped = await _answered(self._buffer.drop(request.destination), context)
        return pb.DropBufferResponse(batches=dropped.batches, records=dropped.records)

    async def ListDamaged(self, request: pb.ListDamagedRequest, context: Context) -> pb.ListDamagedResponse:  # noqa: ARG002, N802
        found = await _answered(self._buffer.damaged(), context)
        return pb.ListDamagedResponse(
            files=[
                pb.DamagedFile(
                    name=file.name,
                    bytes=file.bytes,
                    set_aside=_timestamp(file.set_aside_unix_nano),
                    restored=file.restored,
                    contents=_contents(contents),
                )
                for file, contents in found
            ]
        )

    async def RestoreDamaged(  # noqa: N802
        self, request: pb.RestoreDamagedRequest, context: Context
    ) -> pb.RestoreDamagedResponse:
        restored = await _answered(self._buffer.restore(request.names), context)
        return pb.RestoreDamagedResponse(files={name: _contents(contents) for name, contents in restored.items()})

    async def PurgeDamaged(self, request: pb.PurgeDamagedRequest, context: Context) -> pb.PurgeDamagedResponse:  # noqa: N802
        purged = await _answered(self._buffer.purge(request.names), context)
        return pb.PurgeDamagedResponse(files=len(purged), bytes=sum(purged.values()))

    async def ListDeadLetters(  # noqa: N802
        self, request: pb.ListDeadLettersRequest, context: Context
    ) -> AsyncIterator[pb.DeadLetter]:
        name, box = await self._box(request.destination, context)
        try:
            async for letter in box.list(request.limit or _LETTERS_LISTED):
                yield _letter(name, letter)
            await _tell_others(box, context)
        except DestinationUnavailable as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))

    async def GetDeadLetter(self, request: pb.GetDeadLetterRequest, context: Context) -> pb.DeadLetter:  # noqa: N802
        name, box = await self._box(request.destination, context)
        return _letter(name, await _answered(box.get(request.id), context))

    async def ReplayDeadLetters(  # noqa: N802
        self, request: pb.ReplayDeadLettersRequest, context: Context
    ) -> pb.ReplayDeadLettersResponse:
        _, box = await self._box(request.destination, context)
        replayed = await _answered(box.replay(request.ids), context)
        await _answered(_tell_others(box, context), context)
        return pb.ReplayDeadLettersResponse(stored=replayed.stored, refused=replayed.refused)

    async def PurgeDeadLetters(  # noqa: N802
        self, request: pb.PurgeDeadLettersRequest, context: Context
    ) -> pb.PurgeDeadLettersResponse:
        _, box = await self._box(request.destination, context)
        deleted = await _answered(box.purge(request.ids), context)
        await _answered(_tell_others(box, context), context)
        return pb.PurgeDeadLettersResponse(deleted=deleted)

    def _status(self) -> pb.GetStatusResponse:
        return pb.GetStatusResponse(
            destinations=[self._destination(name, backlog) for name, backlog in self._buffer.status().items()],
            buffer=_buffer_files(self._buffer.state()),
        )

    def _destination(self, name: str, backlog: Backlog) -> pb.Destination:
        configured = name in self._delivery.pipelines
        problem = self._problem(name)
        return pb.Destination(
            name=name,
            configured=configured,
            healthy=not problem,
            reason=problem,
            replay_paused=configured and self._delivery.replayers[name].paused,
            backlog=_backlog(backlog),
            lanes=map(_lane, self._delivery.pipelines[name].lanes.values()) if configured else (),
        )

    def _problem(self, name: str) -> str:
        """Why a destination is not known to be well; empty when it is."""
        if name not in self._delivery.pipelines:
            return "no setting names it"
        pipeline = self._delivery.pipelines[name]
        if not pipeline.breaker.closed:
            return pipeline.breaker.reason
        if name not in self._destinations:
            return ""
        health = self._destinations[name].health()
        if health.up and any(health.problem in problem for problem in pipeline.problems()):
            return ""  # it is that of a single collection or batch
        return health.problem or ("" if health.up else "no server that takes writes has been found")

    def _is_stranded(self, name: str, backlog: Backlog) -> bool:
        return backlog.batches > 0 and name not in self._delivery.pipelines

    async def _drained_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._delivery.drained()
        except TimeoutError:
            return False
        return True

    async def _chosen(self, destination: str, context: Context) -> Iterable[str]:
        """The destination that was asked for, or all."""
        names = self._delivery.pipelines
        if destination and destination not in names:
            await context.abort(grpc.StatusCode.NOT_FOUND, _unknown(destination, names))
        return [destination] if destination else list(names)

    async def _check_in_buffer(self, destination: str, context: Context) -> None:
        names = self._buffer.status()
        if destination not in names:
            await context.abort(grpc.StatusCode.NOT_FOUND, _unknown(destination, names))

    async def _box(self, destination: str, context: Context) -> tuple[str, LetterBox]:
        """The dead letters of the destination that was asked for, or of the first."""
        name = destination or next(iter(self._letters), "local")
        if name not in self._letters:
            await context.abort(grpc.StatusCode.NOT_FOUND, _unknown(name, self._letters))
        return name, self._letters[name]


async def _answered(work: Awaitable[T], context: Context) -> T:
    """The result of a call to the buffer or to MongoDB; its failure becomes the call's status."""
    try:
        return await work
    except UnknownLetter as error:
        await context.abort(grpc.StatusCode.NOT_FOUND, f"no dead letter has the id {error}")
    except UnknownFile as error:
        await context.abort(grpc.StatusCode.NOT_FOUND, str(error))
    except (DestinationUnavailable, Unavailable) as error:
        await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))


async def _ask(destination: Probed) -> None:
    """What comes of it shows in the destination's health."""
    with contextlib.suppress(DestinationUnavailable, TimeoutError):
        async with asyncio.timeout(_ASK_SECONDS):
            await destination.ping()


async def _tell_others(box: LetterBox, context: Context) -> None:
    """Say in the call's trailing metadata how many documents of other programs were left alone."""
    if others := await box.others():
        context.set_trailing_metadata(((OTHERS, str(others)),))


def _unknown(destination: str, known: Iterable[str]) -> str:
    return f"no destination is called {destination!r}; there are: {', '.join(known) or 'none'}"


def _backlog(backlog: Backlog) -> pb.Backlog:
    oldest = _timestamp(backlog.oldest_unix_nano) if backlog.oldest_unix_nano else None
    return pb.Backlog(batches=backlog.batches, records=backlog.records, bytes=backlog.bytes, oldest=oldest)


def _buffer_files(state: BufferState) -> pb.BufferFiles:
    return pb.BufferFiles(
        disk_bytes=state.disk_bytes,
        max_bytes=state.max_bytes,
        damaged_files=state.damaged_files,
        damaged_bytes=state.damaged_bytes,
        unreadable=[
            pb.UnreadableFile(name=file.name, reason=file.reason, since=_timestamp(round(file.since_unix * 1e9)))
            for file in state.unreadable
        ],
    )


def _contents(contents: Contents) -> pb.DamagedContents:
    return pb.DamagedContents(
        readable=contents.readable, restored=contents.restored, lost=contents.lost, problem=contents.problem
    )


def _letter(destination: str, letter: Letter) -> pb.DeadLetter:
    time = Timestamp()
    time.FromDatetime(letter.time)
    return pb.DeadLetter(
        id=letter.id,
        destination=destination,
        signal=letter.signal,
        records=letter.records,
        time=time,
        code=letter.code,
        reason=letter.reason,
        payload=letter.payload,
    )


def _lane(lane: Lane) -> pb.Lane:
    return pb.Lane(
        signal=lane.signal.name,
        healthy=lane.direct,
        reason=lane.problem,
        set_aside=len(lane.aside),
        set_aside_reason=lane.aside.reasons,
    )


def _timestamp(unix_nano: int) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromNanoseconds(unix_nano)
    return timestamp
