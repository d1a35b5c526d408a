"""`python -m benchmarks.storage`: measure what documents, indexes and collections cost mongod; tables go to stdout."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from pymongo import MongoClient

from benchmarks.storage.measure import Measurement, measure
from benchmarks.storage.report import table
from benchmarks.storage.variants import GROUPS, Group
from sidecar.embedded import EmbeddedMongod, EmbeddedMongodError, find_mongod


def main() -> int:
    arguments = _arguments()
    groups = [_narrowed(group, arguments) for group in GROUPS if not arguments.only or group.name in arguments.only]
    try:
        asyncio.run(_run(groups, arguments))
    except EmbeddedMongodError as error:
        print(f"benchmarks.storage: {error}", file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storage", description=__doc__)
    names = [group.name for group in GROUPS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="GROUP", help=f"some of {', '.join(names)}")
    parser.add_argument("--rounds", type=int, default=5, help="how often each variant is measured")
    parser.add_argument("--records", type=int, help="how many are stored of each variant, instead of the group's own")
    parser.add_argument("--folder", type=Path, help="where MongoDB's files lie meanwhile, several GB of them")
    parser.add_argument(
        "--json", type=Path, help="append measurements to this file; the tables are of all it holds then"
    )
    return parser.parse_args()


def _narrowed(group: Group, arguments: argparse.Namespace) -> Group:
    return replace(group, records=arguments.records) if arguments.records else group


async def _run(groups: Sequence[Group], arguments: argparse.Namespace) -> None:
    for group in groups:
        with TemporaryDirectory(prefix="otlp-mongo-storage-", dir=arguments.folder) as folder:
            mongod = EmbeddedMongod(Path(folder), find_mongod(), extra_arguments=group.arguments, stop_grace=60)
            try:
                await mongod.start()
                _set_cache(mongod, group.cache)
                measurements = await _rounds(group, mongod, arguments.rounds)
            finally:
                await mongod.stop()
        if arguments.json:
            measurements = _kept(arguments.json, measurements)
        print(table(group, measurements), flush=True)
        print()


def _set_cache(mongod: EmbeddedMongod, size: str) -> None:
    """The command line takes no less than 256 MB."""
    with MongoClient[dict[str, object]](mongod.uri) as client:
        client.admin.command({"setParameter": 1, "wiredTigerEngineRuntimeConfig": f"cache_size={size}"})


async def _rounds(group: Group, mongod: EmbeddedMongod, rounds: int) -> Sequence[Measurement]:
    """All variants in turn, each round in the other direction, so that what changes meanwhile favours none."""
    measurements = []
    for number in range(rounds):
        for variant in group.variants[:: 1 if number % 2 == 0 else -1]:
            measurement = await measure(group, variant, mongod)
            measurements.append(measurement)
            _progress(f"{group.name}, round {number + 1}: {variant.name}: {measurement.insert_micros:.1f} µs")
    return measurements


def _kept(path: Path, measurements: Sequence[Measurement]) -> Sequence[Measurement]:
    """These, behind those of earlier runs."""
    with path.open("a+") as file:
        file.writelines(json.dumps(asdict(measurement)) + "\n" for measurement in measurements)
        file.seek(0)
        return [Measurement(**json.loads(line)) for line in file]


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
