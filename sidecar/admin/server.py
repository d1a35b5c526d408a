"""The admin HTTP server. It shows states and counts, never credentials."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import orjson
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from receiver.endpoint import Endpoint, ReceiverStartError
from receiver.http_log import garbage_logger
from receiver.refusal_log import RefusalLog
from sidecar.admin.page import Facts, render
from sidecar.errors import UserError
from sidecar.health import Health

_LONGEST_STOP = 0.3
"""Seconds, which aiohttp takes twice. Answers are ready at once: what takes longer is a client who does not read."""


class AdminStartError(UserError):
    """The admin endpoint cannot be listened on."""


class AdminServer:
    """Serves `/healthz`, `/readyz`, `/metrics` and `/`."""

    def __init__(self, endpoint: str, health: Health, registry: CollectorRegistry, facts: Facts) -> None:
        """`endpoint`: as the settings write it. `facts`: what the status page shows beside the parts."""
        self._endpoint = Endpoint.parse(endpoint)
        self._health = health
        self._registry = registry
        self._facts = facts
        self._runner: web.AppRunner | None = None

    @property
    def endpoint(self) -> str:
        """The address that is bound, with a real port. Before the start: the one asked for."""
        return str(self._endpoint)

    async def start(self) -> None:
        """Listen.

        Raises:
            AdminStartError: the address cannot be listened on.
        """
        try:
            sockets = await asyncio.to_thread(self._endpoint.bind)
        except ReceiverStartError as error:
            raise AdminStartError(f"OTLP_MONGO_ADMIN_ENDPOINT: {error}") from error
        if not self._endpoint.path:
            self._endpoint = self._endpoint.with_port(sockets[0].getsockname()[1])
        self._runner = web.AppRunner(
            self._application(),
            access_log=None,
            handle_signals=False,
            logger=garbage_logger(RefusalLog()),
            shutdown_timeout=_LONGEST_STOP,
        )
        await self._runner.setup()
        for listener in sockets:
            await web.SockSite(self._runner, listener).start()

    async def stop(self, grace: float) -> None:
        """Stop listening; answer what is being asked for at most `grace` seconds. May be called in any state."""
        if self._runner:
            async with asyncio.timeout(grace):
                await self._runner.cleanup()
            self._runner = None
            await asyncio.to_thread(self._endpoint.remove_file)

    def _application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/", self._status_page)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        return app

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        parts = self._health.parts()
        ready = all(part.ready for part in parts.values())
        body = {"ready": ready, "parts": {name: asdict(part) for name, part in parts.items()}}
        return web.Response(
            body=orjson.dumps(body, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE),
            content_type="application/json",
            status=200 if ready else 503,
        )

    async def _metrics(self, request: web.Request) -> web.Response:
        try:
            encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        except (TypeError, ValueError):  # a version that is none: the oldest format serves everybody
            encode, content_type = choose_encoder("")
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})

    async def _status_page(self, _request: web.Request) -> web.Response:
        return web.Response(text=render(self._health.parts(), self._facts, self._registry), content_type="text/html")
