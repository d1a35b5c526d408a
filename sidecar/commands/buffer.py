"""`otlp-mongo buffer …`: what waits in the retry buffer."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from exporter import SIGNALS, MalformedPayload
from protos import admin_pb2 as pb
from protos.admin_pb2_grpc import AdminStub
from receiver.otlp_json import from_protobuf
from sidecar.commands import administration
from sidecar.commands.table import table
from sidecar.errors import UserError
from sidecar.settings.types import format_bytes

_DAMAGED_HEAD = ("FILE", "BYTES", "SET ASIDE", "BATCHES", "LOST", "STATE")
_STATUS_HEAD = ("DESTINATION", "STATE", "REPLAY", "BATCHES", "RECORDS", "BYTES", "OLDEST")


def status(*, as_json: bool, embedded: bool) -> None:
    """Print the backlog of each destination."""

    async def work(admin: AdminStub) -> None:
        response = await admin.GetStatus(pb.GetStatusRequest())
        _print(_json(response) if as_json else _status(response))

    administration.run(work, embedded=embedded)


def verify(*, embedded: bool) -> None:
    """Check every batch.

    Raises:
        UserError: something is damaged.
    """

    async def work(admin: AdminStub) -> None:
        report = await admin.VerifyBuffer(pb.VerifyBufferRequest())
        _print([f"{report.batches} batches with {report.records} records are sound"])
        _print(f"{name}: of a newer format, left untouched" for name in report.untouched)
        if found := [*report.damage, *(f"cannot be read now: {line}" for line in report.unreadable)]:
            raise UserError("\n".join(found))

    administration.run(work, embedded=embedded)


def export(destination: str, folder: Path, *, as_json: bool, embedded: bool) -> None:
    """Write what waits for a destination to files: OTLP/JSON lines, or a protobuf export request each.

    Raises:
        UserError: the folder cannot be written.
    """

    async def work(admin: AdminStub) -> None:
        write = _write_json if as_json else _write_protobuf
        batches = records = 0
        try:
            await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
            async for batch in admin.ExportBuffer(pb.ExportBufferRequest(destination=destination)):
                batches += 1
                records += batch.records
                await asyncio.to_thread(write, folder, batches, batch)
        except OSError as error:
            raise UserError(f"cannot write to {folder} ({error.strerror}): name a folder you may write") from error
        _print([f"{batches} batches with {records} records are in {folder}; they go on waiting in the buffer"])

    administration.run(work, embedded=embedded)


def drain(*, embedded: bool) -> None:
    """Replay until nothing waits, printing how far it is."""

    async def work(admin: AdminStub) -> None:
        async for response in admin.Drain(pb.DrainRequest()):
            _print(_progress(destination) for destination in response.destinations)

    administration.run(work, embedded=embedded)


def pause(destination: str) -> None:
    """Stop bringing the backlog over, of one destination or (empty) of all."""

    async def work(admin: AdminStub) -> None:
        _print(_status(await admin.PauseReplay(pb.PauseReplayRequest(destination=destination))))

    administration.run(work, embedded=False)


def resume(destination: str) -> None:
    """The opposite of `pause`."""

    async def work(admin: AdminStub) -> None:
        _print(_status(await admin.ResumeReplay(pb.ResumeReplayRequest(destination=destination))))

    administration.run(work, embedded=False)


def drop(destination: str, *, embedded: bool) -> None:
    """Give up what waits for a destination that no setting names any more."""

    async def work(admin: AdminStub) -> None:
        dropped = await admin.DropBuffer(pb.DropBufferRequest(destination=destination))
        _print([f"{dropped.batches} batches with {dropped.records} records were given up"])

    administration.run(work, embedded=embedded)


def list_damaged(*, as_json: bool, embedded: bool) -> None:
    """Print the files that were set aside, and what can be read in them."""

    async def work(admin: AdminStub) -> None:
        response = await admin.ListDamaged(pb.ListDamagedRequest())
        if as_json:
            _print(_json(response))
        elif response.files:
            _print(table(_DAMAGED_HEAD, map(_damaged_row, response.files)))
        else:
            _print(["no file was set aside"])

    administration.run(work, embedded=embedded)


def restore(names: Sequence[str], *, embedded: bool) -> None:
    """Bring back what can be read in files that were set aside; in all of them without names.

    Raises:
        UserError: not all of it came back.
    """

    async def work(admin: AdminStub) -> None:
        response = await admin.RestoreDamaged(pb.RestoreDamagedRequest(names=names))
        problems = []
        for name, found in sorted(response.files.items()):
            known = found.readable - found.restored
            _print([f"{name}: {found.restored} batches are back, {known} were there already, {found.lost} are lost"])
            if found.problem:
                problems.append(f"{name}: {found.problem}")
        if not response.files:
            _print(["no file waits to be restored"])
        if problems:
            raise UserError("\n".join(problems))

    administration.run(work, embedded=embedded)


def purge_damaged(names: Sequence[str], *, embedded: bool) -> None:
    """Delete files that were set aside; all of them without names."""

    async def work(admin: AdminStub) -> None:
        purged = await admin.PurgeDamaged(pb.PurgeDamagedRequest(names=names))
        _print([f"{purged.files} files with {format_bytes(purged.bytes)} were deleted"])

    administration.run(work, embedded=embedded)


def _status(response: pb.GetStatusResponse) -> Iterator[str]:
    yield from table(_STATUS_HEAD, map(_status_row, response.destinations))
    files = response.buffer
    if files.damaged_files:
        size = format_bytes(files.damaged_bytes)
        yield f"{files.damaged_files} files were set aside as damaged, {size}: otlp-mongo buffer damaged list"
    for file in files.unreadable:
        yield f"{file.name} cannot be read since {_date(file.since)} and is tried again: {file.reason}"
    for destination in response.destinations:
        yield from (f"{destination.name}: {problem}" for lane in destination.lanes for problem in _problems(lane))


def _damaged_row(file: pb.DamagedFile) -> tuple[str, ...]:
    found = file.contents
    return (
        file.name,
        format_bytes(file.bytes),
        _date(file.set_aside),
        str(found.readable),
        str(found.lost),
        found.problem or ("restored" if file.restored else "otlp-mongo buffer restore brings them back"),
    )


def _date(timestamp: Timestamp) -> str:
    return timestamp.ToDatetime().isoformat(sep=" ", timespec="seconds") + " UTC"


def _problems(lane: pb.Lane) -> Iterator[str]:
    if not lane.healthy:
        yield f"{lane.signal} go to the retry buffer: {lane.reason}"
    if lane.set_aside:
        yield f"{lane.set_aside} batches of {lane.signal} are set aside, and tried again: {lane.set_aside_reason}"


def _status_row(destination: pb.Destination) -> tuple[str, ...]:
    backlog = destination.backlog
    age = time.time() - backlog.oldest.ToNanoseconds() / 1e9
    return (
        destination.name,
        "up" if destination.healthy else f"down: {destination.reason}",
        "paused" if destination.replay_paused else "on",
        str(backlog.batches),
        str(backlog.records),
        format_bytes(backlog.bytes),
        f"{age:.0f} s ago" if backlog.HasField("oldest") else "-",
    )


def _progress(destination: pb.Destination) -> str:
    left = destination.backlog.records
    problems = (problem for lane in destination.lanes for problem in _problems(lane))
    reason = "; ".join(problems) if destination.healthy else destination.reason
    state = f" ({reason})" if reason else ""
    return f"{destination.name}: {left} records left{state}" if left else f"{destination.name}: nothing waits"


def _write_json(folder: Path, number: int, batch: pb.BufferedBatch) -> None:
    try:
        line = from_protobuf(SIGNALS[batch.signal], batch.payload)
    except MalformedPayload:
        # Strings that are not UTF-8, which JSON cannot hold: better in another form than not at all.
        _write_protobuf(folder, number, batch)
        return
    with (folder / f"{batch.signal}.jsonl").open("ab") as file:
        file.write(line + b"\n")


def _write_protobuf(folder: Path, number: int, batch: pb.BufferedBatch) -> None:
    (folder / f"{number:09}-{batch.signal}.binpb").write_bytes(batch.payload)


def _json(message: Message) -> list[str]:
    return [json_format.MessageToJson(message, always_print_fields_with_no_presence=True)]


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(line + "\n")
    sys.stdout.flush()
