"""Which converter does the work: the one place where it is chosen."""

from __future__ import annotations

from importlib import import_module
from typing import Literal

import structlog

from receiver.otlp_json.convert import Compile, Converter

ConverterChoice = Literal["auto", "native", "reference"]

_log = structlog.get_logger(__name__)


class ConverterMissing(Exception):
    """The native converter is demanded, but was not built."""


def select_converter(choice: ConverterChoice = "auto") -> Converter:
    """Make the converter of choice, and log which it is. `auto`: native where it was built, else the reference.

    Raises:
        ConverterMissing: the choice is `native`, and it was not built.
    """
    if choice == "reference":
        return _chosen(Converter(None), choice)
    try:
        native = _native()
    except ImportError as error:
        if choice == "native":
            raise ConverterMissing(
                f"OTLP_MONGO_TRANSCODER=native, but the native JSON converter is not there ({error}): install with "
                "a C compiler at hand, or set OTLP_MONGO_TRANSCODER=auto to do without"
            ) from error
        _log.warning(
            "the native JSON converter was not built: the reference does the work, for about twenty times the CPU time",
            reason=str(error),
        )
        return _chosen(Converter(None), choice)
    return _chosen(Converter(native), choice)


def _native() -> Compile:
    compiler: Compile = import_module("receiver.otlp_json.native").NativeConverter
    return compiler


def _chosen(converter: Converter, choice: ConverterChoice) -> Converter:
    _log.info("JSON converter chosen", converter=converter.name, setting=choice)
    return converter
