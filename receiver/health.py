"""The health service that gRPC's clients and load balancers ask.

Source: gRPC Health Checking Protocol (`grpc/health/v1/health.proto`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

_Context = grpc.aio.ServicerContext[Any, Any]
_Answer = health_pb2.HealthCheckResponse


class HealthService(health_pb2_grpc.HealthServicer):  # type: ignore[misc] # the library has no types
    """Says the same of all services. One who watches and does not read holds up nobody."""

    def __init__(self, services: Iterable[str]) -> None:
        """`services`: their names; the server as a whole has the empty one."""
        self._services = {"", *services}
        self._serving = False
        self._ended = False
        self._changed = asyncio.Event()

    def set_serving(self, serving: bool) -> None:
        """Tell those who ask and those who watch whether to send. Does nothing after `end`."""
        if self._ended or serving == self._serving:
            return
        self._serving = serving
        self._tell()

    def end(self) -> None:
        """Nothing is served any more: those who watch are told, and their calls end."""
        self._ended, self._serving = True, False
        self._tell()

    async def Check(self, request: health_pb2.HealthCheckRequest, context: _Context) -> Message:  # noqa: N802
        if request.service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no service {request.service[:200]!r}")
        answer: Message = _Answer(status=self._status(request.service))
        return answer

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: _Context) -> None:  # noqa: N802
        told = None
        while True:
            changed = self._changed
            if (status := self._status(request.service)) != told:
                await context.write(_Answer(status=status))
                told = status
            if self._ended:
                return
            await changed.wait()

    def _status(self, service: str) -> int:
        if service not in self._services:
            return int(_Answer.SERVICE_UNKNOWN)
        return int(_Answer.SERVING if self._serving else _Answer.NOT_SERVING)

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
