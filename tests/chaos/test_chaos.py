from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.run import run

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


async def test_chaos_short_run_loses_nothing_and_stores_nothing_twice(tmp_path: Path) -> None:
    outcome = await run(tmp_path, seed=7, seconds=7, every=(0.1, 0.8), buffer="3MiB")

    assert outcome.faults.total() >= 8
    assert outcome.verdict.acknowledged > 1000
    assert outcome.verdict.good, "\n".join(outcome.lines())
