from __future__ import annotations

import sys

import pytest
from structlog.testing import capture_logs

from receiver.otlp_json import ConverterChoice, ConverterMissing, select_converter


@pytest.fixture
def _not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "receiver.otlp_json.native", None)


@pytest.mark.parametrize("choice", ["auto", "native"])
def test_select_native_built_is_chosen_and_logged(choice: ConverterChoice) -> None:
    pytest.importorskip("receiver.otlp_json.native", exc_type=ImportError)

    with capture_logs() as logs:
        converter = select_converter(choice)

    assert converter.name == "native"
    assert [(line["log_level"], line["converter"], line["setting"]) for line in logs] == [("info", "native", choice)]


def test_select_reference_is_chosen_though_native_is_built() -> None:
    assert select_converter("reference").name == "reference"


@pytest.mark.usefixtures("_not_built")
def test_select_auto_native_missing_warns_and_takes_reference() -> None:
    with capture_logs() as logs:
        converter = select_converter("auto")

    assert converter.name == "reference"
    assert [line["log_level"] for line in logs] == ["warning", "info"]
    assert "native JSON converter was not built" in logs[0]["event"]


@pytest.mark.usefixtures("_not_built")
def test_select_native_missing_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ConverterMissing, match="install with a C compiler at hand, or set OTLP_MONGO_TRANSCODER=auto"):
        select_converter("native")
