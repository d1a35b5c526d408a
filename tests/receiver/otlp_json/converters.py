"""The converters under test."""

from __future__ import annotations

import pytest

from receiver.otlp_json import Converter


def reference() -> Converter:
    return Converter(None)


def native() -> Converter:
    """Skips the test where it was not built."""
    module = pytest.importorskip("receiver.otlp_json.native", exc_type=ImportError)
    return Converter(module.NativeConverter)
