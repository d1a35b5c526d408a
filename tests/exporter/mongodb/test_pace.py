from __future__ import annotations

import pytest

from exporter.interfaces import Documents
from exporter.mongodb.chunks import MAX_CHUNK_BYTES, MAX_CHUNK_DOCUMENTS
from exporter.mongodb.pace import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def documents(count: int, size: int) -> Documents:
    """So many, of so many bytes together."""
    return Documents(b"", [0] * count + [size])


def send_all(pace: Pace, count: int, size: int, seconds: float, bytes_a_second: float) -> list[int]:
    """Send documents piece by piece over a link of this speed, `seconds` at most for each. The sizes that passed."""
    passed, left = list[int](), count
    while left and len(passed) < 10_000:
        sent = max(min(left, pace.documents, int(pace.bytes / (size / count))), 1)
        piece = int(sent * size / count)
        if (took := piece / bytes_a_second) > seconds:
            pace.unanswered(sent, piece, seconds)
            continue
        pace.answered(sent, piece, took)
        passed.append(piece)
        left -= sent
    return passed


def test_pace_quick_answers_reach_the_largest_pieces_within_a_few() -> None:
    pace = Pace()

    for _ in range(4):
        pace.answered(pace.documents, pace.bytes, 0.05)

    assert (pace.documents, pace.bytes) == (MAX_CHUNK_DOCUMENTS, MAX_CHUNK_BYTES)


def test_pace_small_inserts_say_nothing_of_large_ones() -> None:
    pace = Pace()
    before = (pace.documents, pace.bytes)

    for _ in range(100):
        pace.answered(1, 400, 0.001)

    assert (pace.documents, pace.bytes) == before


def test_pace_slow_link_gets_pieces_of_half_a_second() -> None:
    pace = Pace()

    passed = send_all(pace, 5_000, 5 << 20, seconds=15.0, bytes_a_second=200 << 10)

    assert sum(passed) == pytest.approx(5 << 20, rel=0.01)
    assert max(passed[1:]) <= 200 << 10
    assert len(passed) < 100


def test_pace_no_answers_shrink_to_what_passes_and_grow_again() -> None:
    pace = Pace()
    for _ in range(10):
        pace.answered(pace.documents, pace.bytes, 0.01)

    passed = send_all(pace, 4_000, 4 << 20, seconds=2.0, bytes_a_second=20 << 10)

    assert sum(passed) == pytest.approx(4 << 20, rel=0.01)
    pace.answered(pace.documents, pace.bytes, 0.01)
    shrunk = pace.documents
    for _ in range(20):
        pace.answered(pace.documents, pace.bytes, 0.01)
    assert shrunk < pace.documents == MAX_CHUNK_DOCUMENTS


def test_pace_nothing_passes_goes_down_to_a_single_document() -> None:
    pace = Pace()

    for _ in range(20):
        pace.unanswered(pace.documents, pace.bytes, 4.0)

    assert pace.documents == 1


def test_pace_answers_that_are_always_slow_keep_pieces_worth_the_way() -> None:
    pace = Pace()

    for _ in range(50):
        pace.answered(pace.documents, pace.bytes, 3.0)

    assert pace.documents >= 50
    assert pace.bytes >= 8 << 10


def test_expected_seconds_follow_the_measured_speed() -> None:
    pace = Pace()
    pace.answered(1000, 80_000, 0.1)

    assert pace.expected_seconds(documents(100, 8_000)) == 0
    assert pace.expected_seconds(documents(200_000, 200_000 * 80)) == pytest.approx(20.0)


def test_expected_seconds_unknown_speed_is_nothing() -> None:
    assert Pace().expected_seconds(documents(200_000, 1 << 24)) == 0


def test_pace_what_was_measured_long_ago_is_not_relied_on() -> None:
    clock = Clock()
    pace = Pace(clock)
    for _ in range(10):
        pace.answered(pace.documents, pace.bytes, 0.01)
    large = documents(4000, 4 << 20)
    before = pace.fits(large)
    clock.now += 60

    after = pace.fits(large)

    assert before
    assert not after
    assert pace.expected_seconds(large) == 0


def test_answered_since_tells_whether_anybody_got_an_answer() -> None:
    clock = Clock()
    pace = Pace(clock)
    clock.now += 1
    pace.answered(1, 1, 0.001)

    assert pace.answered_since(clock.now - 0.5)
    assert not pace.answered_since(clock.now)


@pytest.mark.parametrize(("size", "least", "most"), [(1 << 20, 16, 16), (16 << 20, 256, 256), (1 << 30, 300, 300)])
def test_limit_of_a_single_large_document_grows_with_it_to_a_bound(size: int, least: float, most: float) -> None:
    assert least <= Pace().limit(size) <= most
