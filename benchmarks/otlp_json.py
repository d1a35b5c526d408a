"""What OTLP/JSON costs in CPU time per record on its way to protobuf: `python -m benchmarks.otlp_json`.

Beside the direct ways stand the parsing of the JSON alone and the stock way, Protocol Buffers' own JSON parser.
"""

from __future__ import annotations

import argparse
import logging

import orjson
import structlog
from google.protobuf import json_format

from benchmarks.payloads import templates
from benchmarks.transcode import least_nanoseconds
from exporter import SIGNALS, Signal
from receiver.otlp_json import select_converter


def stock(signal: Signal, body: bytes) -> bytes:
    """Without the rewriting of ids that it would need besides."""
    message = json_format.ParseDict(orjson.loads(body), signal.request(), ignore_unknown_fields=True)
    return message.SerializeToString()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[500, 10, 1], help="records in a request")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each figure")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    reference, native = select_converter("reference"), select_converter("auto")
    print("| signal | a request | bytes a record | json_format, µs a record | parsing alone | reference | native |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for signal in SIGNALS.values():
        for records in arguments.records:
            body = templates(signal.name, records, "json")[0].payload
            ways = (
                lambda: stock(signal, body),  # noqa: B023 - called at once
                lambda: orjson.loads(body),  # noqa: B023
                lambda: reference.to_protobuf(signal, body),  # noqa: B023
                lambda: native.to_protobuf(signal, body),  # noqa: B023
            )
            cells = [f"{least_nanoseconds(way, arguments.seconds) / records / 1000:.1f}" for way in ways]
            if native.name == "reference":
                cells[-1] = "not built"
            row = " | ".join([signal.name, f"{records:,}", f"{len(body) / records:.0f}", *cells])
            print(f"| {row} |", flush=True)


if __name__ == "__main__":
    main()
