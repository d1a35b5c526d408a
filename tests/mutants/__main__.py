"""`python -m tests.mutants exporter/delivery/breaker.py [TEST…]`: the changes to a module that its tests let pass.

It works on a copy in .cache/mutants, as mutmut writes beside what it changes. Without TEST, the tests are those of the
module's package that need no MongoDB.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PACKAGES = ("exporter", "protos", "receiver", "sidecar")
_COMPILED = "*.so"
_NOT_KILLED = ("survived", "no tests", "timeout", "suspicious")


def prepare(module: str, tests: Sequence[str]) -> Path:
    """A copy of the checkout in which mutmut is told what to change and what to run."""
    copy = ROOT / ".cache" / "mutants" / module.removesuffix(".py").replace("/", "-")
    shutil.rmtree(copy, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    compiled = (str(file.relative_to(ROOT)) for name in _PACKAGES for file in (ROOT / name).rglob(_COMPILED))
    for name in (*listed.stdout.decode().split("\0"), *compiled):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    with (copy / "pyproject.toml").open("a") as stream:
        stream.write(settings(module, tests))
    return copy


def settings(module: str, tests: Sequence[str]) -> str:
    """What mutmut reads. Each mutant runs in a fork of a process without threads: gRPC's would not outlive it."""
    return f"""
[tool.mutmut]
source_paths = {list(_PACKAGES)}
only_mutate = ["{module}"]
also_copy = ["benchmarks", "pyproject.toml", "tests"]
pytest_add_cli_args = ["-x", "-q", "-m", "not integration"]
pytest_add_cli_args_test_selection = {list(tests)}
process_isolation = "forkserver"
"""


def survivors(copy: Path) -> Sequence[str]:
    """Name and outcome of each mutant that no test noticed."""
    results = subprocess.run(_mutmut("results"), cwd=copy, check=True, capture_output=True, text=True)
    return [line.strip() for line in results.stdout.splitlines() if line.endswith(_NOT_KILLED)]


def show(copy: Path, survivor: str) -> str:
    """What it changes."""
    name = survivor.partition(":")[0]
    return subprocess.run(_mutmut("show", name), cwd=copy, check=True, capture_output=True, text=True).stdout


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("module", help="a file, as in exporter/delivery/breaker.py")
    parser.add_argument("tests", nargs="*", help="what to run, instead of the tests of its package")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    tests = arguments.tests or [f"tests/{Path(arguments.module).parent}"]
    copy = prepare(arguments.module, tests)
    os.nice(10)
    command = [*_mutmut("run"), "--max-children", str(arguments.processes)]
    if code := subprocess.run(command, cwd=copy, stdin=subprocess.DEVNULL, check=False).returncode:
        return code
    found = survivors(copy)
    for survivor in found:
        print(f"\n{survivor}\n{show(copy, survivor)}")
    print(f"{len(found)} changes to {arguments.module} that no test noticed")
    return 0


def _mutmut(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "mutmut", *arguments]


if __name__ == "__main__":
    sys.exit(main())
