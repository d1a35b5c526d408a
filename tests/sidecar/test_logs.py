"""Log lines, as a machine and as a person reads them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from sidecar import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield io.StringIO()
    root.handlers, root.level = handlers, level
    logging.captureWarnings(False)
    structlog.reset_defaults()


def test_json_line_has_request_id_of_its_context(stream: io.StringIO) -> None:
    logs.configure("info", "json", stream)

    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger().info("stored", spans=3)

    line = json.loads(stream.getvalue())
    assert (line["message"], line["level"], line["spans"], line["request_id"]) == ("stored", "info", 3, "r-1")
    assert line["timestamp"].endswith("Z")


def test_json_line_of_standard_logger_has_same_form(stream: io.StringIO) -> None:
    logs.configure("info", "json", stream)

    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        logging.getLogger("grpc").error("handshake failed: %s", "why")

    line = json.loads(stream.getvalue())
    assert (line["message"], line["logger"], line["request_id"]) == ("handshake failed: why", "grpc", "r-1")


def test_json_line_with_exception_is_one_line(stream: io.StringIO) -> None:
    logs.configure("info", "json", stream)

    structlog.get_logger().error("failed", exc_info=ValueError("broken"))

    assert stream.getvalue().count("\n") == 1
    assert "ValueError: broken" in json.loads(stream.getvalue())["exception"]


@pytest.mark.parametrize("log", [lambda: structlog.get_logger().info("x"), lambda: logging.getLogger("a").info("x")])
def test_line_below_level_is_left_out(stream: io.StringIO, log: object) -> None:
    logs.configure("warning", "json", stream)

    assert callable(log)
    log()

    assert stream.getvalue() == ""


def test_console_format_is_for_people(stream: io.StringIO) -> None:
    logs.configure("info", "console", stream)

    structlog.get_logger().info("ready", grpc="127.0.0.1:4317")

    assert "ready" in stream.getvalue()
    assert "grpc=127.0.0.1:4317" in stream.getvalue()


def test_auto_format_without_terminal_is_json(stream: io.StringIO) -> None:
    assert not logs.is_console("auto", stream)
