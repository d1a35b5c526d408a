"""An exporter that stores in every destination before it answers, and keeps nothing for those that are away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import structlog

from exporter import Batch, ExportResult, Unavailable
from exporter.errors import DestinationUnavailable
from exporter.interfaces import Destination, Documents, InsertResult, Transcoder

_log = structlog.get_logger(__name__)

_INLINE_BYTES = 16 * 1024
"""Payloads up to this size are transcoded on the loop: handing them to a thread would cost more than it spares."""
_REASONS_SHOWN = 3


class DirectExporter:
    """Implements `exporter.Exporter`."""

    def __init__(self, transcoder: Transcoder, destinations: Sequence[Destination], timeout: float) -> None:
        """`timeout`: seconds that an insert may take."""
        self._transcoder = transcoder
        self._destinations = destinations
        self._timeout = timeout

    async def export(self, batch: Batch) -> ExportResult:
        """Return once each record is stored in every destination, or refused for good by one.

        Raises:
            Unavailable: a destination did not take it; sending it again stores nothing twice.
        """
        documents = await self._transcode(batch)
        results = await asyncio.gather(
            *(self._insert(destination, batch, documents) for destination in self._destinations),
            return_exceptions=True,
        )
        # All have ended: only now is the batch's memory given back.
        for error in (result for result in results if isinstance(result, BaseException)):
            raise error
        return _answer([result for result in results if isinstance(result, InsertResult)])

    async def _transcode(self, batch: Batch) -> Documents:
        if len(batch.payload) <= _INLINE_BYTES:
            return self._transcoder.transcode(batch)
        return await asyncio.to_thread(self._transcoder.transcode, batch)

    async def _insert(self, destination: Destination, batch: Batch, documents: Documents) -> InsertResult:
        try:
            async with asyncio.timeout(self._timeout):
                return await destination.insert(batch.signal.collection, documents)
        except TimeoutError as error:
            raise Unavailable(f"{destination.name}: the insert took longer than {self._timeout:g} s") from error
        except DestinationUnavailable as error:
            raise Unavailable(f"{destination.name}: {error}") from error


def _answer(results: Sequence[InsertResult]) -> ExportResult:
    reasons = dict(_refusals(results))
    if not reasons:
        return ExportResult()
    _log.warning(
        "records refused by MongoDB are lost", records=len(reasons), reasons=list(reasons.values())[:_REASONS_SHOWN]
    )
    return ExportResult(len(reasons), "; ".join(dict.fromkeys(list(reasons.values())[:_REASONS_SHOWN])))


def _refusals(results: Sequence[InsertResult]) -> Iterator[tuple[int, str]]:
    """Each refused record by its position, once, however many destinations refused it."""
    for result in results:
        for refusal in result.refusals:
            yield refusal.index, refusal.reason
