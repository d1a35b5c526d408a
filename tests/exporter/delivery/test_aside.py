from __future__ import annotations

from exporter.delivery.aside import Aside
from exporter.delivery.breaker import Backoff


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def aside_with(clock: Clock, bound: int = 10) -> Aside:
    backoff = Backoff(first=1.0, longest=8.0, uniform=lambda _low, high: high)
    return Aside(backoff, lambda _count: None, clock, bound)


def test_aside_one_waits_and_is_tried_alone_with_growing_waits() -> None:
    clock = Clock()
    aside = aside_with(clock)
    waits = []

    for _ in range(5):
        aside.add(7, "poison")
        due = aside.due_in()
        assert due is not None
        assert aside.next() is None
        clock.now += due
        assert aside.next() == 7
        aside.begin(7)
        assert aside.next() is None
        assert aside.due_in() is None
        waits.append(due)

    assert waits == [1.0, 2.0, 4.0, 8.0, 8.0]


def test_aside_one_that_passes_lets_the_next_go_at_once() -> None:
    aside = aside_with(Clock())
    for position in (1, 2, 3):
        aside.add(position, "no dead letters")

    aside.passed(1)

    assert aside.next() == 2
    assert len(aside) == 2


def test_aside_one_that_fails_again_comes_after_the_others() -> None:
    clock = Clock()
    aside = aside_with(clock)
    for position in (1, 2):
        aside.add(position, "poison")
    clock.now += 100
    aside.begin(1)

    aside.add(1, "poison")
    clock.now += 100

    assert aside.next() == 2


def test_aside_more_than_the_bound_are_passed_over_and_told() -> None:
    aside = aside_with(Clock(), bound=2)

    for position in range(5):
        aside.add(position, "poison")
    full = (len(aside), aside.overflowed, aside.is_half_empty)
    aside.passed(0)

    assert full == (2, True, False)
    assert aside.is_half_empty


def test_aside_reasons_are_the_most_frequent() -> None:
    aside = aside_with(Clock())
    for position, reason in enumerate(["a", "b", "b", "c", "b", "d", "c", "c", "a"]):
        aside.add(position, reason)

    assert aside.reasons == "b; c; a"


def test_aside_withdrawn_may_be_tried_again() -> None:
    clock = Clock()
    aside = aside_with(clock)
    aside.add(1, "poison")
    clock.now += 10
    aside.begin(1)

    aside.withdraw(1)

    assert aside.next() == 1
