from __future__ import annotations

from pathlib import Path

import pytest

from tests.disk.faults import Operation
from tests.disk_faults.run import run

pytestmark = pytest.mark.timeout(240)


@pytest.mark.parametrize("operation", Operation)
def test_call_that_fails_at_any_moment_loses_nothing_and_is_no_damage(disk_library: Path, operation: Operation) -> None:
    problems = run(disk_library, [operation], seed=7, count=10, seconds=180)

    assert problems == []
