"""Delivery as a whole: the pipelines of all destinations, and the replay of what waits for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

import structlog

from exporter.delivery.config import DeliveryConfig
from exporter.delivery.dead_letters import DeadLetters
from exporter.delivery.fan_out import FanOut
from exporter.delivery.pipeline import Pipeline
from exporter.delivery.replay import Replayer
from exporter.delivery.telemetry import DeliveryMetrics
from exporter.interfaces import BatchBuffer, Destination, Transcoder
from exporter.supervision import Supervisor

_log = structlog.get_logger(__name__)


class Delivery:
    """Owns pipelines and replay. The destinations and the buffer outlive it: start them before, stop them after."""

    def __init__(
        self,
        destinations: Mapping[Destination, DeliveryConfig],
        buffer: BatchBuffer,
        transcoder: Transcoder,
        metrics: DeliveryMetrics,
        tasks: Supervisor | None = None,
    ) -> None:
        """`tasks`: the owner of those that replay."""
        dead_letters = DeadLetters(metrics)
        tasks = tasks or Supervisor()
        self.pipelines = {
            destination.name: Pipeline(destination, buffer, dead_letters, config, metrics)
            for destination, config in destinations.items()
        }
        """By the destination's name."""
        self.replayers = {
            name: Replayer(pipeline, buffer, transcoder, metrics, tasks) for name, pipeline in self.pipelines.items()
        }
        self.exporter = FanOut(transcoder, list(self.pipelines.values()))

    def start(self, *, paused: bool = False) -> None:
        """Begin to replay, or wait for `resume` if `paused`."""
        for replayer in self.replayers.values():
            if paused:
                replayer.pause()
            replayer.start()

    def wake(self) -> None:
        """Look for what waits in the buffer: there is more than before."""
        for replayer in self.replayers.values():
            replayer.look_again()

    async def drained(self) -> None:
        """Return once nothing waits for any destination."""
        await asyncio.gather(*(replayer.drained() for replayer in self.replayers.values()))

    async def stop(self, grace: float) -> None:
        """Bring over what waits, for at most `grace` seconds; no batch may come any more.

        What waits for a destination that is down, or is not brought over in time, stays in the buffer.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await asyncio.gather(*(replayer.settled() for replayer in self.replayers.values()))
        await asyncio.gather(*(replayer.stop() for replayer in self.replayers.values()))
        for name, pipeline in self.pipelines.items():
            if left := pipeline.backlog.records:
                _log.warning("records stay in the retry buffer for the next start", destination=name, records=left)
