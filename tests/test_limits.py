"""A test that never ends, or takes all memory, is reported as failed, and the others run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(120)

_ROOT = Path(__file__).parents[1]
_SECONDS = 100.0
"""Of a busy machine: the limits below are over in ten."""
_INI = """[pytest]
timeout = 2
timeout_grace = 2
memory_limit = 400
"""
_HEAD = """
import time
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

def test_first(): pass
def test_last(): pass
"""
_ENDLESS_EXAMPLE = """
@settings(deadline=None)
@given(st.integers())
def test_never_ends(number):
    while True:
        time.sleep(0.01)
"""
_ENDLESS_SHRINKING = """
@settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.integers(), min_size=3))
def test_never_ends(numbers):
    if sum(map(abs, numbers)) > 10:
        time.sleep(1)
        assert False
"""
_SWALLOWING = """
def test_never_ends():
    while True:
        try:
            time.sleep(10)
        except BaseException:
            pass
"""
_TEARDOWN_OF_A_FAILED_TEST = """
@pytest.fixture
def hanging():
    yield
    time.sleep(100)

def test_never_ends(hanging):
    assert False
"""
_MEMORY_HUNGRY = """
def test_never_ends():
    kept = []
    while True:
        try:
            kept.append(bytearray(b"x" * (4 << 20)))
        except MemoryError:
            pass
"""


def _run(folder: Path, test: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """pytest in a process of its own."""
    (folder / "pytest.ini").write_text(_INI)
    (folder / "test_some.py").write_text(_HEAD + test)
    command = [sys.executable, "-m", "pytest", "-p", "tests.limits", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, *arguments, "-c", folder / "pytest.ini", folder],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )


@pytest.mark.parametrize(
    "test",
    [_ENDLESS_EXAMPLE, _ENDLESS_SHRINKING, _TEARDOWN_OF_A_FAILED_TEST],
    ids=["example", "shrinking", "teardown of a failed test"],
)
def test_test_without_end_is_reported_as_out_of_time(tmp_path: Path, test: str) -> None:
    done = _run(tmp_path, test)

    assert done.returncode == 1, done.stdout
    assert "test_never_ends took longer than 2 s" in done.stdout
    assert "2 passed" in done.stdout


@pytest.mark.parametrize(
    ("test", "says"),
    [(_SWALLOWING, "Timeout (0:00:04)!"), (_MEMORY_HUNGRY, "MiB; 400 are allowed")],
    ids=["time", "memory"],
)
def test_test_that_swallows_its_limit_ends_its_worker_and_the_others_run(tmp_path: Path, test: str, says: str) -> None:
    done = _run(tmp_path, test, "-n", "1")

    assert done.returncode == 1, done.stdout
    assert says in done.stderr
    assert "in test_never_ends" in done.stderr
    assert "crashed while running" in done.stdout
    assert "1 failed, 2 passed" in done.stdout
