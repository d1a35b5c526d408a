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
    logs.set_up(stream.write, "info", for_people=False)

    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger().info("stored", spans=3)

    line = json.loads(stream.getvalue())
    assert (line["message"], line["level"], line["spans"], line["request_id"]) == ("stored", "info", 3, "r-1")
    assert line["timestamp"].endswith("Z")


def test_json_line_of_standard_logger_has_same_form(stream: io.StringIO) -> None:
    logs.set_up(stream.write, "info", for_people=False)

    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        logging.getLogger("grpc").error("handshake failed: %s", "why")

    line = json.loads(stream.getvalue())
    assert (line["message"], line["logger"], line["request_id"]) == ("handshake failed: why", "grpc", "r-1")


def test_json_line_with_exception_is_one_line(stream: io.StringIO) -> None:
    logs.set_up(stream.write, "info", for_people=False)

    structlog.get_logger().error("failed", exc_info=ValueError("broken"))

    assert stream.getvalue().count("\n") == 1
    assert "ValueError: broken" in json.loads(stream.getvalue())["exception"]


@pytest.mark.parametrize("log", [lambda: structlog.get_logger().info("x"), lambda: logging.getLogger("a").info("x")])
def test_line_below_level_is_left_out(stream: io.StringIO, log: object) -> None:
    logs.set_up(stream.write, "warning", for_people=False)

    assert callable(log)
    log()

    assert stream.getvalue() == ""


def test_console_format_is_for_people(stream: io.StringIO) -> None:
    logs.set_up(stream.write, "info", for_people=True)

    structlog.get_logger().info("ready", grpc="127.0.0.1:4317")

    assert "ready" in stream.getvalue()
    assert "grpc=127.0.0.1:4317" in stream.getvalue()


def test_auto_format_without_terminal_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.isatty", lambda _descriptor: False)

    assert not logs.is_console("auto")


class Unshowable:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


def _circle() -> list[object]:
    circle: list[object] = []
    circle.append(circle)
    return circle


@pytest.mark.parametrize("for_people", [True, False])
@pytest.mark.parametrize(
    "value",
    ["half \ud800", 1 << 70, Unshowable(), _circle(), {Unshowable(): 1}, b"\xff", float("nan"), object(), {1, "a"}],
    ids=lambda value: type(value).__name__,
)
def test_value_of_any_kind_makes_a_line_and_raises_nothing(
    stream: io.StringIO, value: object, for_people: bool
) -> None:
    logs.set_up(stream.write, "info", for_people=for_people)

    structlog.get_logger().error("failed", reason=value)

    assert stream.getvalue().count("\n") == 1
    assert "failed" in stream.getvalue()
    if not for_people:
        assert json.loads(stream.getvalue())["message"] == "failed"


@pytest.mark.parametrize("for_people", [True, False])
def test_exception_of_any_kind_makes_a_line_and_raises_nothing(stream: io.StringIO, for_people: bool) -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    logs.set_up(stream.write, "info", for_people=for_people)

    structlog.get_logger().error("failed", exc_info=Silent())

    assert "Silent" in stream.getvalue()


def test_long_values_are_shortened(stream: io.StringIO) -> None:
    logs.set_up(stream.write, "info", for_people=False)

    structlog.get_logger().error("failed", reason="a" * 10_000_000)

    line = json.loads(stream.getvalue())
    assert len(stream.getvalue()) < 10_000
    assert "9996000 characters" in line["reason"]


def test_standard_logger_with_wrong_arguments_raises_nothing(stream: io.StringIO) -> None:
    logs.set_up(stream.write, "info", for_people=False)

    logging.getLogger("grpc").error("%d of %s", "one")

    assert json.loads(stream.getvalue())["message"] == "%d of %s"


def test_flood_of_one_kind_is_limited_and_told(stream: io.StringIO) -> None:
    repetition = logs.set_up(stream.write, "info", for_people=False)

    for number in range(1000):
        structlog.get_logger().warning("dead letters", destination="local", reason=f"number {number}")
        logging.getLogger("aiohttp.server").error("Error handling request from %s", number)
    repetition.tell()

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) < 30
    told = {line["repeated"]: line["lines"] for line in lines if line["message"] == "repeated lines were left out"}
    assert told == {"dead letters": 990, "Error handling request from 0": 990}
    assert repetition.suppressed == 1980


def test_debug_lines_are_not_limited(stream: io.StringIO) -> None:
    logs.set_up(stream.write, "debug", for_people=False)

    for _ in range(100):
        structlog.get_logger().debug("request answered")

    assert stream.getvalue().count("\n") == 100


def test_line_has_no_field_of_our_own_making(stream: io.StringIO) -> None:
    logs.set_up(stream.write, "info", for_people=False)

    logging.getLogger("grpc").error("no")

    assert set(json.loads(stream.getvalue())) == {"message", "logger", "level", "timestamp"}
