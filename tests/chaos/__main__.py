"""`python -m tests.chaos --minutes 10`: a long run; exit code 1 on any loss or duplicate."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import run, run_elections, small_disk


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--elections", action="store_true", help="of a replica set, instead of everything else")
    arguments = parser.parse_args()
    seed, seconds, every = arguments.seed, 60 * arguments.minutes, (0.3, 4.0)
    with tempfile.TemporaryDirectory(prefix="otlp-mongo-chaos-") as name, small_disk(Path(name)) as fillable:
        if arguments.elections:
            running = run_elections(Path(name), seed=seed, seconds=seconds, every=every)
        else:
            running = run(Path(name), seed=seed, seconds=seconds, every=every, buffer="64MiB", small_disk=fillable)
        outcome = asyncio.run(running)
        print("\n".join(outcome.lines()))
        if not outcome.verdict.good:
            print((Path(name) / "sidecar.log").read_text()[-20_000:], file=sys.stderr)
    return 0 if outcome.verdict.good else 1


if __name__ == "__main__":
    sys.exit(main())
