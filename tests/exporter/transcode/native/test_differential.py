"""The native transcoder makes of any bytes what the reference makes of them."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.signals import SIGNALS, Signal
from exporter.transcode.limits import MAX_DOCUMENTS_BYTES
from tests.otlp_strategies import payloads

pytest.importorskip("exporter.transcode.native", exc_type=ImportError)

from tests.fuzz.differential import CORPUS_SIGNALS, Comparison, fuzz

CORPUS = sorted((Path(__file__).parents[3] / "fuzz" / "corpus").iterdir())

every_signal = pytest.mark.parametrize("signal", SIGNALS.values(), ids=lambda signal: signal.name)


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return Comparison(MAX_DOCUMENTS_BYTES)


@every_signal
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(data=st.data())
def test_transcode_any_valid_payload_same_as_reference(signal: Signal, comparison: Comparison, data: Any) -> None:
    payload = data.draw(payloads(signal))

    difference = comparison.difference(signal, payload)

    assert difference == ""


@pytest.mark.parametrize("seed", range(4))
def test_transcode_odd_and_damaged_payloads_same_as_reference(seed: int) -> None:
    runs, difference = fuzz(Random(seed), most_runs=1500)

    assert (runs, difference) == (1500, "")


def test_transcode_corpus_same_as_reference(comparison: Comparison) -> None:
    inputs = [path.read_bytes() for path in CORPUS]

    differences = [comparison.difference(CORPUS_SIGNALS[data[0] % 3], data[1:]) for data in inputs]

    assert len(inputs) > 100
    assert set(differences) == {""}
