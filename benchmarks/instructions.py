"""Instructions that the native transcoder takes per record: `python -m benchmarks.instructions` (needs valgrind).

Callgrind counts the same for the same program and input, however busy the machine is, so that a regression of a few
per cent shows, and fails. What is compared with is in `instructions.json`, per compiler, Python and machine: another
one's counts are shown only. `--save` makes today's counts the ones to compare with.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from exporter import SIGNALS, Batch

_BASELINE = Path(__file__).with_name("instructions.json")
_ALLOWED = 1.05
"""Times the instructions of the baseline."""
_RECORDS = 500
_REQUESTS = 4
_COLLECTED = re.compile(r"Collected : (\d+)")
_COUNTED = ("inspect", "transcode")


def transcode(signal_name: str) -> None:
    """What is counted: a few requests, inspected and transcoded."""
    from benchmarks.payloads import templates
    from exporter.transcode.native import NativeTranscoder

    signal, transcoder = SIGNALS[signal_name], NativeTranscoder()
    for request in templates(signal_name, _RECORDS)[:_REQUESTS]:
        transcoder.inspect(signal, request.payload)
        transcoder.transcode(Batch(signal, request.payload, 1 << 64, 1, request.records))


def count(signal_name: str) -> int:
    """Instructions per record of a signal, inside the transcoder's two methods.

    Raises:
        SystemExit: valgrind is not there, or failed.
    """
    toggles = [f"--toggle-collect=__pyx_pw_*NativeTranscoder*{method}" for method in _COUNTED]
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no", *toggles]
    program = [sys.executable, "-m", "benchmarks.instructions", "--count", signal_name]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    try:
        done = subprocess.run([*valgrind, *program], capture_output=True, text=True, env=environment, check=False)
    except FileNotFoundError:
        sys.exit("benchmarks.instructions counts with valgrind, which is not there: install valgrind")
    found = _COLLECTED.search(done.stderr)
    if done.returncode or not found or not int(found[1]):
        sys.exit(f"valgrind counted nothing: {done.stderr[-1000:]}")
    return round(int(found[1]) / (_RECORDS * _REQUESTS))


def machine() -> str:
    """What has to be the same for counts to be comparable."""
    compiler = subprocess.run(["cc", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    return f"{compiler}, Python {platform.python_version()}, {platform.machine()}"


def regressions(counts: Mapping[str, int], baseline: Mapping[str, int]) -> Sequence[str]:
    """A line for each signal that takes more instructions than it may."""
    return [
        f"{name}: {count} instructions a record, {count / baseline[name] - 1:.1%} more than the {baseline[name]} before"
        for name, count in counts.items()
        if count > _ALLOWED * baseline[name]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", action="store_true", help="compare with these counts from now on")
    parser.add_argument("--count", metavar="SIGNAL", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.count:
        transcode(arguments.count)
        return
    started = time.monotonic()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = dict(zip(SIGNALS, pool.map(count, SIGNALS), strict=True))
    here = machine()
    known: dict[str, dict[str, int]] = json.loads(_BASELINE.read_text()) if _BASELINE.exists() else {}
    print(f"instructions per record, inspected and transcoded ({here}, {time.monotonic() - started:.0f} s)")
    for name, instructions in counts.items():
        print(f"  {name}: {instructions}" + (f" (before: {known[here][name]})" if here in known else ""))
    if arguments.save:
        _BASELINE.write_text(json.dumps({**known, here: counts}, indent=2) + "\n")
    elif here not in known:
        print("nothing to compare with for this compiler, Python and machine: --save makes it so")
    elif worse := regressions(counts, known[here]):
        sys.exit("\n".join(worse))


if __name__ == "__main__":
    main()
