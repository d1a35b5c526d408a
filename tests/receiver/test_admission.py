from __future__ import annotations

from contextlib import ExitStack

import pytest

from exporter import Overloaded
from receiver.admission import MemoryBudget


def test_reserve_past_budget_raises_overloaded_and_takes_nothing() -> None:
    budget = MemoryBudget(100)

    with budget.reservation() as first, budget.reservation() as second:
        first.grow_to(40)
        second.grow_to(35)
        with pytest.raises(Overloaded, match="75 of 100 bytes"):
            second.grow_to(36)
        in_use = budget.in_use

    assert in_use == 75
    assert budget.in_use == 0


def test_reserve_small_finds_the_share_that_large_ones_leave() -> None:
    budget = MemoryBudget(100)

    with budget.reservation() as large, ExitStack() as stack:
        large.grow_to(1000)
        small = [stack.enter_context(budget.reservation()) for _ in range(3)]
        small[0].grow_to(12)
        small[1].grow_to(12)
        with pytest.raises(Overloaded):
            small[2].grow_to(12)
        in_use = budget.in_use

    assert in_use == 1024
    assert budget.in_use == 0


def test_reserve_small_ones_may_have_all_of_the_budget() -> None:
    budget = MemoryBudget(100)

    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(budget.reservation()).grow_to(12)
        in_use = budget.in_use

    assert in_use == 96


def test_reserve_that_grows_large_no_longer_counts_as_small() -> None:
    budget = MemoryBudget(100)

    with budget.reservation() as growing, budget.reservation() as small:
        growing.grow_to(12)
        growing.grow_to(90)
        small.grow_to(12)
        in_use = budget.in_use

    assert in_use == 102
    assert budget.in_use == 0


def test_reserve_more_than_budget_alone_succeeds_and_keeps_others_out() -> None:
    budget = MemoryBudget(100)

    with budget.reservation() as big, budget.reservation() as other:
        big.grow_to(50)
        big.grow_to(500)
        with pytest.raises(Overloaded):
            other.grow_to(13)

    assert budget.in_use == 0


def test_reserve_less_than_held_keeps_what_is_held() -> None:
    budget = MemoryBudget(100)

    with budget.reservation() as reservation:
        reservation.grow_to(50)
        reservation.grow_to(20)
        in_use = budget.in_use

    assert in_use == 50


def test_reserve_after_error_is_given_back() -> None:
    budget = MemoryBudget(100)

    with pytest.raises(Overloaded):
        hold_then_fail(budget)

    assert budget.in_use == 0


def hold_then_fail(budget: MemoryBudget) -> None:
    with budget.reservation() as reservation:
        reservation.grow_to(50)
        raise Overloaded("elsewhere")
