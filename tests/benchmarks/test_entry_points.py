"""Every benchmark starts, and those that can be made small run through."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.storage.variants import GROUPS

pytestmark = pytest.mark.timeout(180)
_ROOT = Path(__file__).parents[2]
_LARGE = ("benchmarks", "benchmarks.buffer", "benchmarks.delivery", "benchmarks.instructions", "benchmarks.storage")
_TINY = ("--records", "5", "--seconds", "0.01")


def _run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=_ROOT, capture_output=True, text=True, timeout=170, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", _LARGE)
def test_benchmark_that_is_large_says_how_it_is_used(module: str) -> None:
    assert "usage:" in _run(module, "--help")


@pytest.mark.parametrize("module", ["benchmarks.transcode", "benchmarks.otlp_json"])
def test_benchmark_of_code_alone_prints_a_row_for_every_signal(module: str) -> None:
    output = _run(module, *_TINY)

    assert all(f"| {signal} |" in output for signal in ("traces", "metrics", "logs"))


@pytest.mark.integration
@pytest.mark.parametrize("group", [group.name for group in GROUPS if group.arguments])
def test_storage_group_with_options_for_mongod_runs(group: str) -> None:
    output = _run("benchmarks.storage", "--only", group, "--rounds", "1", "--records", "500")

    assert "| zstd |" in output
