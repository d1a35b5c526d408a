from __future__ import annotations

import pytest

from exporter.delivery.breaker import Backoff, CircuitBreaker


def longest(low: float, high: float) -> float:
    assert low == 0
    return high


@pytest.mark.parametrize(("attempt", "seconds"), [(0, 0.5), (1, 1.0), (5, 16.0), (6, 30.0), (10_000, 30.0)])
def test_backoff_grows_with_attempts_up_to_its_limit(attempt: int, seconds: float) -> None:
    backoff = Backoff(first=0.5, longest=30.0, uniform=longest)

    delay = backoff.delay(attempt)

    assert delay == seconds


def test_breaker_first_failure_opens_and_tells_once() -> None:
    changes: list[tuple[bool, str]] = []
    breaker = CircuitBreaker(Backoff(), lambda closed, reason: changes.append((closed, reason)))

    breaker.fail("no primary")
    breaker.fail("no primary either")

    assert not breaker.closed
    assert breaker.reason == "no primary"
    assert changes == [(False, "no primary")]


def test_breaker_successful_probe_closes_and_tells_once() -> None:
    changes: list[tuple[bool, str]] = []
    breaker = CircuitBreaker(Backoff(), lambda closed, reason: changes.append((closed, reason)))
    assert breaker.reason == ""
    breaker.fail("gone")
    breaker.probe_failed("still gone")
    assert breaker.reason == "still gone"

    breaker.succeed()
    breaker.succeed()

    assert breaker.closed
    assert breaker.reason == ""
    assert changes == [(False, "gone"), (True, "")]


def test_breaker_failed_probes_wait_longer_each_time() -> None:
    breaker = CircuitBreaker(Backoff(first=1.0, longest=8.0, uniform=longest))
    breaker.fail("gone")

    waits = []
    for _ in range(5):
        waits.append(breaker.next_probe())
        breaker.probe_failed("still gone")

    assert waits == [1.0, 2.0, 4.0, 8.0, 8.0]


def test_backoff_delay_is_drawn_from_all_of_the_time_up_to_the_ceiling() -> None:
    """Full jitter: sidecars that lost the same MongoDB must not come back to it all at once."""
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return high / 3

    backoff = Backoff(first=1.0, longest=8.0, uniform=uniform)

    delays = [backoff.delay(attempt) for attempt in range(5)]

    assert asked == [(0, 1), (0, 2), (0, 4), (0, 8), (0, 8)]
    assert delays == [ceiling / 3 for _, ceiling in asked]
