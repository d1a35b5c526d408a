"""The exporter without a buffer: acknowledged only when every destination has stored it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from exporter import SIGNALS, Batch, ExportResult, Unavailable
from exporter.errors import DestinationUnavailable
from exporter.interfaces import Documents, InsertResult, Inspection, Refusal
from exporter.signals import Signal
from sidecar.direct import DirectExporter

_BATCH = Batch(SIGNALS["logs"], b"payload", base_id=1, received_unix_nano=1, records=2)
_DOCUMENTS = Documents(b"onetwo", (0, 3, 6))


class FakeTranscoder:
    name = "fake"

    def inspect(self, signal: Signal, payload: bytes) -> Inspection:
        raise AssertionError("a batch is inspected before it is made")

    def transcode(self, batch: Batch) -> Documents:
        assert batch is _BATCH
        return _DOCUMENTS


class FakeDestination:
    def __init__(self, name: str, outcome: Callable[[], InsertResult]) -> None:
        self.name = name
        self.inserted: list[str] = []
        self._outcome = outcome
        self.blocked = asyncio.Event()
        self.blocked.set()

    async def insert(self, collection: str, documents: Documents) -> InsertResult:
        await self.blocked.wait()
        assert documents is _DOCUMENTS
        result = self._outcome()
        self.inserted.append(collection)
        return result

    async def ping(self) -> None:
        raise AssertionError("not asked for")

    async def returned(self) -> None:
        raise AssertionError("not asked for")


def _stored() -> InsertResult:
    return InsertResult(inserted=1, duplicates=1)


def _down() -> InsertResult:
    raise DestinationUnavailable("no primary")


async def test_export_to_two_destinations_stores_in_both() -> None:
    local, cloud = FakeDestination("local", _stored), FakeDestination("cloud", _stored)

    result = await DirectExporter(FakeTranscoder(), [local, cloud], 5).export(_BATCH)

    assert result == ExportResult()
    assert local.inserted == cloud.inserted == ["logs"]


async def test_export_with_one_destination_down_is_unavailable_after_the_other_has_ended() -> None:
    local, cloud = FakeDestination("local", _down), FakeDestination("cloud", _stored)

    with pytest.raises(Unavailable, match="local: no primary"):
        await DirectExporter(FakeTranscoder(), [local, cloud], 5).export(_BATCH)

    assert cloud.inserted == ["logs"]


async def test_export_to_destination_that_hangs_is_unavailable_after_timeout() -> None:
    local = FakeDestination("local", _stored)
    local.blocked.clear()

    with pytest.raises(Unavailable, match="the insert took longer"):
        await DirectExporter(FakeTranscoder(), [local], 0.01).export(_BATCH)


async def test_export_with_record_refused_by_both_destinations_rejects_it_once() -> None:
    def refuse() -> InsertResult:
        return InsertResult(1, 0, (Refusal(1, 121, "failed validation"),))

    destinations = [FakeDestination("local", refuse), FakeDestination("cloud", refuse)]

    result = await DirectExporter(FakeTranscoder(), destinations, 5).export(_BATCH)

    assert result == ExportResult(rejected=1, message="failed validation")
