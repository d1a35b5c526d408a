from __future__ import annotations

import math
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

from tests.end_to_end.collector import collector
from tests.end_to_end.lossy import Requests, lossy_grpc, lossy_http
from tests.end_to_end.python_sdk import Exports, send_shop
from tests.end_to_end.shop import Sent
from tests.end_to_end.sidecar import Sidecar

pytestmark = [pytest.mark.integration, pytest.mark.collector]

Proxy = Callable[[str, Requests], AbstractContextManager[str]]

_SHOP = {"spans": 2, "logs": 2, "metrics": 5}
_ANSWERED = ["SUCCESS"] * 3


@pytest.mark.parametrize(
    ("configuration", "protocol"),
    [
        (["gateway.yaml"], "grpc"),
        (["gateway-http.yaml"], "http"),
        (["gateway.yaml", "gateway-batching.yaml"], "grpc"),
        (["gateway.yaml", "benchmark-gateway.yaml"], "grpc"),
    ],
    ids=["grpc", "http", "batching", "benchmark"],
)
def test_collector_in_front_stores_what_the_sdk_sent(
    sidecar: Sidecar, service: str, collector_binary: Path, configuration: list[str], protocol: str, tmp_path: Path
) -> None:
    exports = Exports(times=1)

    with collector(collector_binary, configuration, _target(sidecar, protocol), tmp_path) as gateway:
        sent = _send(service, exports, gateway.endpoint)
        sidecar.await_counts(service, _SHOP)

    assert exports.answers == _ANSWERED
    sidecar.assert_holds_shop(service, sent)


@pytest.mark.parametrize(
    ("configuration", "protocol"), [("gateway.yaml", "grpc"), ("gateway-http.yaml", "http")], ids=["grpc", "http"]
)
def test_collector_whose_answers_are_lost_sends_again_and_stores_once(
    sidecar: Sidecar, service: str, collector_binary: Path, configuration: str, protocol: str, tmp_path: Path
) -> None:
    lossy: Proxy = {"grpc": lossy_grpc, "http": lossy_http}[protocol]
    requests = Requests(lost=1)

    with (
        lossy(_target(sidecar, protocol), requests) as proxy,
        collector(collector_binary, [configuration], proxy, tmp_path) as gateway,
    ):
        sent = _send(service, Exports(times=1), gateway.endpoint)
        requests.await_each(2)

    assert [first == second for first, second in requests.bodies.values()] == [True] * 3
    sidecar.assert_holds_shop(service, sent)


def test_collector_killed_during_an_outage_stores_all_after_it(
    sidecar: Sidecar, service: str, collector_binary: Path, tmp_path: Path
) -> None:
    exports = Exports(times=1)

    with collector(collector_binary, ["gateway.yaml"], _nobody(), tmp_path) as gateway:
        sent = _send(service, exports, gateway.endpoint)
        gateway.program.kill()
    with collector(collector_binary, ["gateway.yaml"], sidecar.grpc, tmp_path):
        sidecar.await_counts(service, _SHOP)

    assert exports.answers == _ANSWERED
    sidecar.assert_holds_shop(service, sent)


def test_collector_killed_before_it_hears_that_records_are_stored_stores_once(
    sidecar: Sidecar, service: str, collector_binary: Path, tmp_path: Path
) -> None:
    services = [service, f"{service}-2"]
    before, after = Requests(lost=math.inf), Requests(lost=0)

    with (
        lossy_grpc(sidecar.grpc, before) as proxy,
        collector(collector_binary, ["gateway.yaml"], proxy, tmp_path) as gateway,
    ):
        # The second is sent when the first is on its way: requests of their own, which a restart must not put together.
        sent = []
        for number, name in enumerate(services, 1):
            sent.append(_send(name, Exports(times=1), gateway.endpoint))
            before.await_different(number)
        gateway.program.kill()
    with (
        lossy_grpc(sidecar.grpc, after) as proxy,
        collector(collector_binary, ["gateway.yaml"], proxy, tmp_path),
    ):
        after.await_different(2)

    for name, shop in zip(services, sent, strict=True):
        sidecar.assert_holds_shop(name, shop)


def test_benchmark_configuration_takes_all_signals(service: str, collector_binary: Path, tmp_path: Path) -> None:
    exports = Exports(times=1)

    with collector(collector_binary, ["benchmark-nop.yaml"], "", tmp_path) as nop:
        _send(service, exports, nop.endpoint)
        code = nop.program.stop()

    assert exports.answers == _ANSWERED
    assert code == 0


def _send(service: str, exports: Exports, endpoint: str) -> Sent:
    options: Any = {"endpoint": f"http://{endpoint}"}
    return send_shop(
        service, exports, OTLPSpanExporter(**options), OTLPMetricExporter(**options), OTLPLogExporter(**options)
    )


def _target(sidecar: Sidecar, protocol: str) -> str:
    """What the Collector is told to send to."""
    return {"grpc": sidecar.grpc, "http": f"http://{sidecar.http}"}[protocol]


def _nobody() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"
