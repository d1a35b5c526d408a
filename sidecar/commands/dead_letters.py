"""`otlp-mongo dead-letters …`: records that MongoDB refused for good."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC
from typing import Any

from exporter import SIGNALS, MalformedPayload
from protos import admin_pb2 as pb
from protos.admin_pb2_grpc import AdminStub
from receiver.otlp_json import from_protobuf
from sidecar.admin.service import OTHERS
from sidecar.commands import administration
from sidecar.commands.table import table
from sidecar.errors import UserError

_HEAD = ("ID", "TIME", "SIGNAL", "RECORDS", "CODE", "REASON")
_REASON_SHOWN = 80


def list_letters(destination: str, limit: int, *, embedded: bool) -> None:
    """Print the newest letters."""

    async def work(admin: AdminStub) -> None:
        request = pb.ListDeadLettersRequest(destination=destination, limit=limit)
        call = admin.ListDeadLetters(request)
        rows = [_row(letter) async for letter in call]
        sys.stdout.writelines(f"{line}\n" for line in table(_HEAD, rows))
        await _tell_others(call)

    administration.run(work, embedded=embedded)


def show(destination: str, letter_id: str, *, embedded: bool) -> None:
    """Print one letter, its record as OTLP/JSON."""

    async def work(admin: AdminStub) -> None:
        letter = await admin.GetDeadLetter(pb.GetDeadLetterRequest(destination=destination, id=letter_id))
        for name, value in zip(_HEAD, _row(letter, shown=None), strict=True):
            sys.stdout.write(f"{name.lower()}: {value}\n")
        sys.stdout.write(f"record: {_record(letter)}\n")

    administration.run(work, embedded=embedded)


def replay(destination: str, ids: Sequence[str], *, embedded: bool) -> None:
    """Insert letters again.

    Raises:
        UserError: some are refused again.
    """

    async def work(admin: AdminStub) -> None:
        call = admin.ReplayDeadLetters(pb.ReplayDeadLettersRequest(destination=destination, ids=ids))
        done = await call
        sys.stdout.write(f"{done.stored} stored, {done.refused} refused again\n")
        await _tell_others(call)
        if done.refused:
            raise UserError(f"{done.refused} were refused again and stay: see `otlp-mongo dead-letters list`")

    administration.run(work, embedded=embedded)


def purge(destination: str, ids: Sequence[str], *, embedded: bool) -> None:
    """Delete letters for good."""

    async def work(admin: AdminStub) -> None:
        call = admin.PurgeDeadLetters(pb.PurgeDeadLettersRequest(destination=destination, ids=ids))
        done = await call
        sys.stdout.write(f"{done.deleted} deleted\n")
        await _tell_others(call)

    administration.run(work, embedded=embedded)


async def _tell_others(call: Any) -> None:
    """Say how many documents of other programs there are: on stderr, since they are no part of the result."""
    metadata = dict(await call.trailing_metadata())
    if others := metadata.get(OTHERS):
        sys.stderr.write(f"{others} documents of other programs in dead_letters were left alone\n")


def _row(letter: pb.DeadLetter, shown: int | None = _REASON_SHOWN) -> tuple[str, ...]:
    time = letter.time.ToDatetime(UTC).isoformat(timespec="seconds")
    return letter.id, time, letter.signal, str(letter.records), str(letter.code), letter.reason[:shown]


def _record(letter: pb.DeadLetter) -> str:
    signal = SIGNALS.get(letter.signal)
    try:
        return from_protobuf(signal, letter.payload).decode() if signal else letter.payload.hex()
    except MalformedPayload:
        return letter.payload.hex()
