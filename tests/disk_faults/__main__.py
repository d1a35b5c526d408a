"""`python -m tests.disk_faults --count 300 --seed 7`: a long run; exit code 1 when anything is wrong."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.disk.faults import Operation
from tests.disk.library import compile_library
from tests.disk_faults.run import run

_FAULT_SECONDS = 60.0
"""The longest that one may take, all told."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.disk_faults")
    parser.add_argument("--count", type=int, default=100, help="faults of each kind of call")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="otlp-mongo-faults-") as name:
        library, count = compile_library(Path(name)), arguments.count
        for operation in Operation:
            problems = run(library, [operation], seed=arguments.seed, count=count, seconds=_FAULT_SECONDS * count)
            print(f"{operation.name.lower()}: {count} faults, {len(problems)} problems")
            for problem in problems[:50]:
                print(f"  {problem}")
            wrong += len(problems)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
