from __future__ import annotations

from receiver.retry_hints import RetryHints


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_hint_is_a_second_at_first_and_grows_with_the_outage_up_to_what_was_asked() -> None:
    clock = Clock()
    hints = RetryHints(clock)
    given = []

    for passed in (0.0, 2.0, 10.0, 12.0, 30.0):
        clock.now = 1000.0 + passed
        given.append(hints.seconds("app", most=5.0))

    assert given == [1.0, 1.0, 2.5, 3.0, 5.0]


def test_hint_is_each_clients_own_and_starts_anew_once_it_was_served() -> None:
    clock = Clock()
    hints = RetryHints(clock)
    hints.seconds("old", most=30.0)
    clock.now += 40

    new, old = hints.seconds("new", most=30.0), hints.seconds("old", most=30.0)
    hints.served("old")

    assert (new, old, hints.seconds("old", most=30.0)) == (1.0, 10.0, 1.0)


def test_hint_starts_anew_for_a_client_that_stayed_away() -> None:
    clock = Clock()
    hints = RetryHints(clock)
    hints.seconds("app", most=30.0)
    clock.now += 3600

    assert hints.seconds("app", most=30.0) == 1.0


def test_clients_without_number_are_not_all_remembered() -> None:
    hints = RetryHints(Clock())

    for number in range(5000):
        hints.seconds(str(number), most=5.0)

    assert len(hints._outages) <= 1000
