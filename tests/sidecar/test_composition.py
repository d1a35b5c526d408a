from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from exporter.transcode.reference import ReferenceTranscoder
from receiver.http_receiver import HttpReceiver
from sidecar.composition import Receiver, build_receivers
from sidecar.errors import UsageError
from sidecar.settings import Settings
from tests.receiver.fakes import FakeExporter

Build = Callable[[], Mapping[str, Receiver]]


@pytest.fixture
def build(choice: str) -> Build:
    settings = Settings(OTLP_MONGO_TRANSCODER=choice, OTLP_MONGO_GRPC_ENDPOINT="")  # type: ignore[call-arg]
    return lambda: build_receivers(settings, ReferenceTranscoder(), FakeExporter(), CollectorRegistry())


@pytest.mark.parametrize("choice", ["native", "reference"])
def test_build_receivers_takes_json_converter_as_transcoder_is_chosen(build: Build, choice: str) -> None:
    pytest.importorskip("receiver.otlp_json.native", exc_type=ImportError)

    with capture_logs() as logs:
        receivers = build()

    assert isinstance(receivers["OTLP_MONGO_HTTP_ENDPOINT"], HttpReceiver)
    assert [line["converter"] for line in logs] == [choice]


@pytest.mark.parametrize("choice", ["native"])
def test_build_receivers_without_the_converter_of_choice_is_a_usage_error(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "receiver.otlp_json.native", None)

    with pytest.raises(UsageError, match="OTLP_MONGO_TRANSCODER=native, but the native JSON converter is not there"):
        build()
