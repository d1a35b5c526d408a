"""The admin HTTP server over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

from sidecar.admin import AdminServer
from sidecar.admin.server import AdminStartError
from sidecar.health import Health, PartHealth


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def admin(health: Health, registry: CollectorRegistry) -> AsyncIterator[AdminServer]:
    server = AdminServer("127.0.0.1:0", health, registry, lambda: {"store": "mongodb://<db>"})
    await server.start()
    yield server
    await server.stop(1)


async def _get(admin: AdminServer, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://{admin.endpoint}{path}") as response:
        return response.status, await response.text()


async def test_healthz_before_ready_answers_ok(admin: AdminServer) -> None:
    assert await _get(admin, "/healthz") == (200, "ok\n")


async def test_readyz_while_starting_answers_503_and_names_parts(admin: AdminServer, health: Health) -> None:
    health.register("local", lambda: PartHealth(ready=False, state="unreachable"))

    status, text = await _get(admin, "/readyz")

    assert status == 503
    assert '"local": {\n      "ready": false,\n      "state": "unreachable"' in text


async def test_readyz_when_all_parts_are_ready_answers_200(admin: AdminServer, health: Health) -> None:
    health.register("local", lambda: PartHealth(ready=True, state="reachable"))
    health.running()

    status, text = await _get(admin, "/readyz")

    assert status == 200
    assert text.startswith('{\n  "ready": true')


async def test_readyz_while_stopping_answers_503(admin: AdminServer, health: Health) -> None:
    health.running()
    health.stopping()

    status, _ = await _get(admin, "/readyz")

    assert status == 503


async def test_metrics_shows_registry(admin: AdminServer, registry: CollectorRegistry) -> None:
    Counter("otlp_mongo_spans", "Spans", registry=registry).inc(3)

    status, text = await _get(admin, "/metrics")

    assert status == 200
    assert "otlp_mongo_spans_total 3.0" in text


async def test_status_page_shows_parts_facts_and_counts_escaped(
    admin: AdminServer, health: Health, registry: CollectorRegistry
) -> None:
    health.register("local", lambda: PartHealth(ready=False, state="<b>down</b>"))
    Counter("otlp_mongo_spans", "Spans", ["signal"], registry=registry).labels("traces").inc(1234)

    status, text = await _get(admin, "/")

    assert status == 200
    assert "&lt;b&gt;down&lt;/b&gt;" in text
    assert "mongodb://&lt;db&gt;" in text
    assert "spans traces" in text
    assert "1,234" in text


async def test_unknown_path_answers_404(admin: AdminServer) -> None:
    status, _ = await _get(admin, "/secrets")

    assert status == 404


async def test_start_on_address_in_use_names_setting_and_address(
    admin: AdminServer, health: Health, registry: CollectorRegistry
) -> None:
    second = AdminServer(admin.endpoint, health, registry, dict)

    with pytest.raises(AdminStartError, match=f"^OTLP_MONGO_ADMIN_ENDPOINT: cannot listen on {admin.endpoint}"):
        await second.start()


async def test_start_on_unix_socket_answers_there_and_stop_removes_it(
    tmp_path: Path, health: Health, registry: CollectorRegistry
) -> None:
    path = tmp_path / "admin.sock"
    server = AdminServer(f"unix:{path}", health, registry, dict)
    await server.start()

    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
        session.get("http://admin/healthz") as response,
    ):
        status = response.status
    await server.stop(1)

    assert status == 200
    assert not path.exists()


@pytest.mark.parametrize("media_type", ["application/openmetrics-text", "text/plain"])
@pytest.mark.parametrize("version", ["x.y.z", "", "1.0.0", "1.0.0-rc1", "99", ";;=", '"1.0.0"', "1" * 5000])
async def test_metrics_for_any_version_that_is_asked_for_answers_200(
    admin: AdminServer, registry: CollectorRegistry, media_type: str, version: str
) -> None:
    Counter("things", "Things", registry=registry).inc()

    headers = {"Accept": f"{media_type};version={version}"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{admin.endpoint}/metrics", headers=headers) as response,
    ):
        text = await response.text()

    assert response.status == 200
    assert "things_total 1.0" in text
