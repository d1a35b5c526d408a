"""Fan-out: a batch to every destination at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from exporter.batch import Batch
from exporter.delivery.pipeline import Pipeline
from exporter.errors import TooLarge, Unavailable
from exporter.interfaces import ALL_TAKEN, Documents, ExportResult, Transcoder
from exporter.transcode import inline

_log = structlog.get_logger(__name__)


class FanOut:
    """The exporter: hands each batch to the pipelines of all destinations."""

    def __init__(self, transcoder: Transcoder, pipelines: Sequence[Pipeline]) -> None:
        self._transcoder = transcoder
        self._pipelines = pipelines

    async def export(self, batch: Batch) -> ExportResult:
        """Return once each record is durable for every destination.

        Raises:
            Unavailable: not durable for one of them at least; sending it again stores nothing twice.
            TooLarge: not durable for one of them, and never will be.
        """
        wanted = any(pipeline.wants(batch.signal) for pipeline in self._pipelines)
        documents = await self._transcode(batch) if wanted else None
        if len(self._pipelines) == 1:
            return _result(await self._pipelines[0].deliver(batch, documents))
        outcomes = await asyncio.gather(
            *(pipeline.deliver(batch, documents) for pipeline in self._pipelines), return_exceptions=True
        )
        _raise_worst(outcomes)
        return _result("; ".join(outcome for outcome in outcomes if isinstance(outcome, str) and outcome))

    async def _transcode(self, batch: Batch) -> Documents | None:
        """None: it failed. Replay finds out what it is about the batch, which is safe in the buffer until then."""
        try:
            return await inline.run(self._transcoder, len(batch.payload), self._transcoder.transcode, batch)
        except Exception:
            _log.exception("a batch cannot be transcoded: it goes to the retry buffer", signal=batch.signal.name)
            return None


def _result(message: str) -> ExportResult:
    return ExportResult(message=message) if message else ALL_TAKEN


def _raise_worst(outcomes: Sequence[str | BaseException]) -> None:
    """Every pipeline has finished: raise what one of them raised, what nobody expected first.

    What is final comes last: while another destination may still take the batch, the client should send it again.
    """
    errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    if errors:
        raise min(errors, key=lambda error: (isinstance(error, TooLarge), isinstance(error, Unavailable)))
