from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.shop import Interval, Sent
from tests.end_to_end.sidecar import Sidecar

pytestmark = [pytest.mark.integration, pytest.mark.node]

_HAS_IS_REMOTE = 0x100


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_http_json_each_request_sent_twice_stored_once(
    sidecar: Sidecar, service: str, node_command: list[str | Path], compression: str
) -> None:
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{sidecar.http}",
        "OTEL_EXPORTER_OTLP_COMPRESSION": compression,
    }

    run = subprocess.run(
        [*node_command, service], env={**os.environ, **environment}, capture_output=True, text=True, timeout=30
    )

    assert run.returncode == 0, run.stderr
    sidecar.assert_holds_shop(service, _sent(run.stdout))


def _sent(output: str) -> Sent:
    chosen = json.loads(output)
    client, server = chosen["traces"]
    return Sent(
        trace_id=server["traceId"],
        server_span_id=server["spanId"],
        client_span_id=client["spanId"],
        span_flags=_HAS_IS_REMOTE | server["traceFlags"],
        log_flags=server["traceFlags"],
        metrics={name: Interval(int(at["start"]), int(at["end"])) for name, at in chosen["metrics"].items()},
        gauge_has_start=True,
        empty_buckets={},
    )
