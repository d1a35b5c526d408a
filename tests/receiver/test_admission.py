from __future__ import annotations

import pytest

from exporter import Overloaded
from receiver.admission import MemoryBudget


def test_reserve_past_budget_raises_overloaded_and_takes_nothing() -> None:
    budget = MemoryBudget(100)

    with budget.reservation() as first, budget.reservation() as second:
        first.grow_to(60)
        second.grow_to(40)
        with pytest.raises(Overloaded, match="100 of 100 bytes"):
            second.grow_to(41)
        in_use = budget.in_use

    assert in_use == 100
    assert budget.in_use == 0


def test_reserve_more_than_budget_alone_succeeds_and_keeps_others_out() -> None:
    budget = MemoryBudget(100)

    with budget.reservation() as big, budget.reservation() as other:
        big.grow_to(50)
        big.grow_to(500)
        with pytest.raises(Overloaded):
            other.grow_to(1)

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
