"""Where the admin service listens: a Unix socket in the data folder, or a loopback address."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import grpc.aio

from protos import admin_pb2_grpc
from receiver.endpoint import Endpoint, ReceiverStartError
from sidecar.admin.server import AdminStartError
from sidecar.admin.service import AdminService

_OWNER_ONLY = 0o600
_NOTHING_FOR_OTHERS = 0o077
_LONGEST_STOP = 0.5
"""Seconds. Commands that take long (drain, export, verify) can be given again; what waits can be brought over now."""


class AdminGrpcServer:
    """Serves one `AdminService`. Who may reach the endpoint may administrate: there is no authentication."""

    def __init__(self, endpoint: str, service: AdminService) -> None:
        """`endpoint`: as the settings write it."""
        self._endpoint = Endpoint.parse(endpoint)
        self._service = service
        self._server: grpc.aio.Server | None = None

    @property
    def endpoint(self) -> str:
        """The address that is bound, with a real port. Before the start: the one asked for."""
        return str(self._endpoint)

    async def start(self) -> None:
        """Listen.

        Raises:
            AdminStartError: the address cannot be listened on.
        """
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        admin_pb2_grpc.add_AdminServicer_to_server(self._service, server)  # type: ignore[no-untyped-call]
        # A socket's file is nobody else's from its first moment on: the time between bind and chmod is enough to
        # connect. Whatever other threads make meanwhile is ours alone, too.
        umask = os.umask(_NOTHING_FOR_OTHERS) if self._endpoint.path else None
        try:
            await asyncio.to_thread(self._endpoint.claim)
            port = server.add_insecure_port(str(self._endpoint))
        except (ReceiverStartError, RuntimeError) as error:
            reason = error if isinstance(error, ReceiverStartError) else self._endpoint.not_bound()
            raise AdminStartError(f"OTLP_MONGO_ADMIN_GRPC_ENDPOINT: {reason}") from error
        finally:
            if umask is not None:
                os.umask(umask)
        if self._endpoint.path:
            await asyncio.to_thread(Path(self._endpoint.path).chmod, _OWNER_ONLY)
        else:
            self._endpoint = self._endpoint.with_port(port)
        await server.start()
        self._server = server

    async def stop(self, grace: float) -> None:
        """Let calls finish for a moment, not more than `grace` seconds. May be called in any state."""
        if self._server:
            await self._server.stop(min(grace, _LONGEST_STOP))
            await asyncio.to_thread(self._endpoint.remove_file)
