"""Which lines come out of a flood, and what is told of the others."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from sidecar.logs.repetition import Repetition


class Setup:
    def __init__(self, interval_seconds: float = 10.0) -> None:
        self.now = 0.0
        self.told: list[tuple[str, int]] = []
        self.heard = threading.Event()
        self.repetition = Repetition(self._tell, burst=3, interval_seconds=interval_seconds, clock=lambda: self.now)

    def _tell(self, event: str, lines: int) -> None:
        self.told.append((event, lines))
        self.heard.set()

    def admit(self, event: str = "refused", **fields: Any) -> int | None:
        return self.repetition.admit({"event": event, "level": "warning", **fields})


@pytest.fixture
def setup() -> Setup:
    return Setup()


def test_first_lines_come_out_and_then_one_in_each_interval_with_the_number_left_out(setup: Setup) -> None:
    flood = [setup.admit() for _ in range(10)]
    setup.now = 10
    later = [setup.admit(), setup.admit()]

    assert flood == [0, 0, 0] + [None] * 7
    assert later == [7, None]
    assert setup.repetition.suppressed == 8


def test_lines_come_out_again_in_full_after_a_quiet_time(setup: Setup) -> None:
    for _ in range(4):
        setup.admit()
    setup.now = 30

    assert [setup.admit() for _ in range(4)] == [1, 0, 0, None]


@pytest.mark.parametrize(
    "other",
    [
        {"event": "another"},
        {"level": "error"},
        {"destination": "cloud"},
        {"exc_info": ValueError()},
        {"exc_info": (ValueError, ValueError(), None)},
        {"_call_site": ("file.py", 2)},
    ],
)
def test_line_of_another_kind_is_not_held_up(setup: Setup, other: dict[str, Any]) -> None:
    for _ in range(4):
        setup.admit()

    assert setup.repetition.admit({"event": "refused", "level": "warning"} | other) == 0


def test_lines_that_differ_only_in_what_a_sender_chooses_are_of_one_kind(setup: Setup) -> None:
    admitted = [setup.admit(reason=f"a text {number}", peer=f"10.0.0.{number}") for number in range(5)]

    assert admitted == [0, 0, 0, None, None]


def test_lines_of_one_place_in_a_library_are_of_one_kind_whatever_their_text(setup: Setup) -> None:
    admitted = [setup.admit(event=f"text {number}", _call_site=("file.py", 1)) for number in range(5)]

    assert admitted == [0, 0, 0, None, None]


def test_what_was_left_out_is_told_when_the_flood_has_ended() -> None:
    setup = Setup(interval_seconds=0.05)
    for _ in range(5):
        setup.admit()

    setup.now = 1

    assert setup.heard.wait(10)
    assert setup.told == [("refused", 2)]


def test_what_was_left_out_is_told_at_the_end(setup: Setup) -> None:
    for _ in range(5):
        setup.admit()

    setup.repetition.tell()
    setup.repetition.tell()

    assert setup.told == [("refused", 2)]


def test_kinds_are_bounded_in_number(setup: Setup) -> None:
    for number in range(5000):
        setup.admit(event=str(number))

    assert setup.repetition.kinds <= 1000
