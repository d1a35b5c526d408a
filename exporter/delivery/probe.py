"""The probe: a small piece of a batch that waits, written with the destination's write concern."""

from __future__ import annotations

import asyncio
import time

from exporter.batch import Batch
from exporter.delivery.lane import Lane
from exporter.delivery.pipeline import Pipeline, Verdict
from exporter.errors import DestinationUnavailable, Scope
from exporter.interfaces import Documents
from exporter.progress import Progress

_DOCUMENTS = 100
_BYTES = 64 << 10
"""It is cheap, and passes on a slow link."""


async def probe(pipeline: Pipeline, lane: Lane, batch: Batch, documents: Documents) -> Verdict:
    """Insert the next few of a batch's documents (one at least), and tell the pipeline what it shows.

    It may take longer each time: a server that is slow gets through in the end.
    """
    config = pipeline.config
    limit = min(config.insert_timeout * 2 ** min(pipeline.breaker.failures, 16), config.replay_timeout)
    remembered = lane.recall(batch.base_id)
    insertion = remembered.insertion
    piece = _piece(documents, insertion.start)
    started = time.monotonic()
    try:
        async with asyncio.timeout(limit):
            result = await pipeline.destination.insert(batch.signal.collection, piece, Progress())
    except TimeoutError:
        error = DestinationUnavailable(f"a probe got no answer within {limit:g} s", Scope.SILENCE)
    except DestinationUnavailable as failure:
        error = failure
    else:
        if not result.refusals and not insertion.refused and insertion.progress is None:
            insertion.start = min(insertion.start + len(piece), len(documents))
            lane.remember(batch.base_id, remembered)
        pipeline.probe_passed(lane)
        if time.monotonic() - started > config.insert_timeout:
            pipeline.fall_behind(f"a probe took longer than {config.insert_timeout:g} s")
        return Verdict.PASSED
    verdict = pipeline.judge(lane, error, started, remembered.since or started, probe=True)
    if verdict is not Verdict.SERVER:
        remembered.since = remembered.since or started
        lane.remember(batch.base_id, remembered)
    return verdict


def _piece(documents: Documents, start: int) -> Documents:
    """From `start` on, or the last one again where all are stored: MongoDB waits for its majority, too."""
    start = min(start, len(documents) - 1)
    stop = min(start + _DOCUMENTS, len(documents))
    while stop - start > 1 and documents.offsets[stop] - documents.offsets[start] > _BYTES:
        stop = start + (stop - start) // 2
    return documents.part(start, stop)
