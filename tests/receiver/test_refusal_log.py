from __future__ import annotations

from receiver.refusal_log import RefusalLog
from tests.receiver.conftest import LogLines


def test_flood_of_one_kind_is_one_line_for_each_interval(logs: LogLines) -> None:
    now = 0.0
    log = RefusalLog(10.0, lambda: now)

    for _ in range(1000):
        log.write("malformed", "no protobuf")
    now = 10.0
    log.write("malformed", "no protobuf")

    assert [(line["outcome"], line["suppressed"]) for line in logs] == [("malformed", 0), ("malformed", 999)]


def test_other_kind_is_logged_at_once(logs: LogLines) -> None:
    log = RefusalLog(10.0, lambda: 0.0)

    log.write("malformed", "no protobuf")
    log.write("overloaded", "full")
    log.write("error", "bug", ValueError("bug"))
    log.write("error", "bug", KeyError("bug"))

    assert [line["log_level"] for line in logs] == ["warning", "warning", "error", "error"]
    assert isinstance(logs[2]["exc_info"], ValueError)
