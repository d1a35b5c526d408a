"""How the commands `buffer` and `dead-letters` reach the admin service: of the running sidecar, or of one of their own.

When no sidecar runs in the data folder, one without receivers is started for as long as the command takes: so there is
one way only to look into the buffer, and the folder's lock keeps a real sidecar out meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import grpc
import grpc.aio

from protos.admin_pb2_grpc import AdminStub
from sidecar import logs
from sidecar.application import Sidecar
from sidecar.data_folder import DataFolder
from sidecar.errors import UserError
from sidecar.settings import Settings, load

_CHANNEL_OPTIONS = [
    # A dead letter may be as large as a request.
    ("grpc.max_receive_message_length", -1),
    # It is on this machine, whatever http_proxy says.
    ("grpc.enable_http_proxy", 0),
]

Work = Callable[[AdminStub], Awaitable[None]]


def run(work: Work, *, embedded: bool) -> None:
    """Do some work with the admin service.

    Raises:
        UserError: the service cannot be reached or started, or refuses a call.
    """
    settings = load().settings
    logs.configure("error", settings.log_format)
    asyncio.run(_run(work, settings, embedded=embedded))


async def _run(work: Work, settings: Settings, *, embedded: bool) -> None:
    async with (
        _endpoint(settings, embedded=embedded) as endpoint,
        grpc.aio.insecure_channel(endpoint, options=_CHANNEL_OPTIONS) as channel,
    ):
        try:
            await work(AdminStub(channel))  # type: ignore[no-untyped-call]
        except grpc.aio.AioRpcError as error:
            raise UserError(error.details() or str(error.code())) from error


@asynccontextmanager
async def _endpoint(settings: Settings, *, embedded: bool) -> AsyncIterator[str]:
    running = await asyncio.to_thread(DataFolder(settings.data_dir).running)
    if running:
        if not running.admin_grpc:
            raise UserError(
                "the running sidecar has no admin service: its OTLP_MONGO_ADMIN_GRPC_ENDPOINT is off, or there was no "
                "place for the socket, as its log says"
            )
        yield running.admin_grpc
        return
    offline = Sidecar(settings, embedded=embedded, offline=True)
    await offline.start()
    try:
        yield offline.admin_service_endpoint
    finally:
        await offline.stop()
