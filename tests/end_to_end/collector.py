"""An OpenTelemetry Collector with one of the configurations that this project recommends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.end_to_end.process import Program

CONFIGURATIONS = Path(__file__).parents[2] / "collector-config"


@dataclass(frozen=True, slots=True)
class Collector:
    """`endpoint`: where it takes OTLP/gRPC, `host:port`."""

    program: Program
    endpoint: str


@contextmanager
def collector(binary: Path, configuration: Sequence[str], target: str, folder: Path) -> Iterator[Collector]:
    """`configuration`: files laid one over the other. `target`: where it sends to.

    `folder` keeps its queue: given again, a new Collector goes on where the last one ended.
    """
    environment = {
        "COLLECTOR_GRPC_ENDPOINT": "127.0.0.1:0",
        "COLLECTOR_HTTP_ENDPOINT": "127.0.0.1:0",
        "COLLECTOR_METRICS_PORT": "0",
        "COLLECTOR_QUEUE_DIR": str(folder / "queue"),
        "OTLP_MONGO_TARGET": target,
    }
    arguments = [f"--config={CONFIGURATIONS / name}" for name in configuration]
    with Program([binary, *arguments], environment, folder) as program:
        listening = program.line(lambda line: line.get("msg") == "Starting GRPC server")
        program.line(lambda line: str(line.get("msg")).startswith("Everything is ready"))
        yield Collector(program, listening["endpoint"])
