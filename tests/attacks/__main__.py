"""`python -m tests.attacks`: all attacks in turn, as a table; with `attack NAME GRPC HTTP`, one of them alone."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from sidecar.embedded import EmbeddedMongod, find_mongod
from tests.attacks.attacks import ATTACKS
from tests.attacks.world import running, suffer

_SECONDS = 10.0


async def _table(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        uri = os.environ.get("MONGODB_URI")
        mongod = None
        if uri is None:
            mongod = EmbeddedMongod(Path(folder) / "mongod", find_mongod())
            await mongod.start()
            uri = mongod.uri
        try:
            print("| attack | good client's requests | failed | p99, ms | peak, MiB | after, MiB |")
            print("| --- | --- | --- | --- | --- | --- |")
            for name in [None, *names]:
                here = Path(folder) / (name or "quiet")
                here.mkdir()
                with running(here, uri) as target:
                    outcome = await suffer(target, name, _SECONDS, afterwards=2.0)
                met = outcome.experience
                figures = (len(met.seconds), len(met.failures), f"{met.p99 * 1000:.0f}")
                memory = (f"{outcome.peak_mib:.0f}", f"{outcome.resident_mib:.0f}")
                print("|", " | ".join(map(str, (name or "none", *figures, *memory))), "|", flush=True)
                for failure in met.failures[:3]:
                    print("   ", failure, file=sys.stderr)
        finally:
            if mongod:
                await mongod.stop()


def main() -> None:
    match sys.argv[1:]:
        case ["attack", name, grpc, http]:
            asyncio.run(ATTACKS[name](grpc, http))
        case names:
            asyncio.run(_table(names or list(ATTACKS)))


main()
