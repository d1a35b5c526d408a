"""What inspecting and transcoding cost in CPU time per record: `python -m benchmarks.transcode`.

The best of many short runs counts: what else the machine does can only add.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from benchmarks.payloads import Template, templates
from exporter import SIGNALS, Batch, Signal
from exporter.interfaces import Transcoder
from exporter.transcode.native import NativeTranscoder
from exporter.transcode.reference import ReferenceTranscoder

_MANY_REQUESTS = 8
"""Requests in turn: more than one, so that no branch of the walk is learnt by heart."""


def least_nanoseconds(work: Callable[[], object], seconds: float) -> float:
    """CPU time of one run, the least seen in that many seconds."""
    least = float("inf")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        started = time.thread_time_ns()
        work()
        least = min(least, time.thread_time_ns() - started)
    return least


def per_record(transcoder: Transcoder, signal: Signal, requests: list[Template], seconds: float) -> tuple[float, float]:
    """Nanoseconds of CPU time to inspect a record, and to transcode it."""
    records = sum(request.records for request in requests)
    batches = [Batch(signal, request.payload, 1 << 64, time.time_ns(), request.records) for request in requests]

    def inspect() -> None:
        for request in requests:
            transcoder.inspect(signal, request.payload)

    def transcode() -> None:
        for batch in batches:
            transcoder.transcode(batch)

    return least_nanoseconds(inspect, seconds) / records, least_nanoseconds(transcode, seconds) / records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[500, 10, 1], help="records in a request")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each figure")
    arguments = parser.parse_args()
    print("| signal | a request | bytes a record | transcoder | inspect, ns a record | transcode, ns a record |")
    print("| --- | ---: | ---: | --- | ---: | ---: |")
    for signal in SIGNALS.values():
        for records in arguments.records:
            requests = templates(signal.name, records)[:_MANY_REQUESTS]
            size = sum(len(request.payload) for request in requests) / sum(request.records for request in requests)
            for transcoder in (NativeTranscoder(), ReferenceTranscoder()):
                inspect, transcode = per_record(transcoder, signal, requests, arguments.seconds)
                row = (
                    f"{signal.name} | {records:,} | {size:.0f} | {transcoder.name} | {inspect:,.0f} | {transcode:,.0f}"
                )
                print(f"| {row} |", flush=True)


if __name__ == "__main__":
    main()
