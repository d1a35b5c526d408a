"""The receivers that are measured, as a table: adding one is adding an entry to `targets`."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from benchmarks.processes import Command, accepts, answers
from sidecar.embedded.process import free_port

ROOT = Path(__file__).parent.parent
COLLECTOR = ROOT / ".cache" / "collector" / "otelcol"
NATIVE_MODULE = "exporter.transcode.native"


@dataclass(frozen=True, slots=True)
class Site:
    """Where a target is to run: its free ports, its folder and its store."""

    grpc_port: int
    http_port: int
    admin_port: int
    folder: Path
    mongodb_uri: str
    database: str

    @staticmethod
    def choose(folder: Path, mongodb_uri: str, database: str) -> Site:
        """Take ports that are free now."""
        ports = (free_port(None), free_port(None), free_port(None))
        return Site(*ports, folder, mongodb_uri, database)

    def address(self, protocol: str) -> str:
        """Host and port for `grpc` or one of the HTTP protocols."""
        return f"127.0.0.1:{self.grpc_port if protocol == 'grpc' else self.http_port}"


@dataclass(frozen=True, slots=True)
class Target:
    """A receiver: how it is started, and whether it stores what it acknowledges."""

    label: str
    command: Callable[[Site], Command]
    ready: Callable[[Site], Callable[[], Awaitable[bool]]]
    stores: bool = False
    front: Callable[[Site, Site], Command] | None = None
    """A Collector that takes the load at the first site and passes it on to the receiver, at the second."""
    missing: str = ""
    """Why it cannot run here; empty when it can."""


def targets() -> Mapping[str, Target]:
    """By name; those that cannot run here say why."""
    no_native = "" if _importable(NATIVE_MODULE) else "the native transcoder is not built (make native)"
    no_collector = "" if COLLECTOR.exists() else "no Collector is built (make collector)"
    return {
        "native": Target(
            "otlp-mongo, native transcoder", _sidecar("native"), _sidecar_ready, stores=True, missing=no_native
        ),
        "reference": Target("otlp-mongo, reference transcoder", _sidecar("reference"), _sidecar_ready, stores=True),
        "rotel": Target(
            "Rotel, blackhole exporter",
            _rotel,
            lambda site: accepts(site.grpc_port),
            missing="" if _importable("rotel") else "rotel is not installed (extra `bench`)",
        ),
        "collector": Target(
            "OpenTelemetry Collector, nop exporter",
            _collector,
            lambda site: accepts(site.grpc_port),
            missing=no_collector,
        ),
        "via-collector": Target(
            "otlp-mongo, native transcoder, behind a Collector's otlp_grpc exporter",
            _sidecar("native"),
            _sidecar_ready,
            stores=True,
            front=_gateway,
            missing=no_native or no_collector,
        ),
    }


def _importable(module: str) -> bool:
    """Whether it is there and built."""
    try:
        import_module(module)
    except ImportError:
        return False
    return True


def _sidecar(transcoder: str) -> Callable[[Site], Command]:
    def command(site: Site) -> Command:
        return Command(
            [str(Path(sys.executable).with_name("otlp-mongo")), "serve"],
            {
                "MONGODB_URI": site.mongodb_uri,
                "MONGODB_DATABASE": site.database,
                "OTLP_MONGO_GRPC_ENDPOINT": f"127.0.0.1:{site.grpc_port}",
                "OTLP_MONGO_HTTP_ENDPOINT": f"127.0.0.1:{site.http_port}",
                "OTLP_MONGO_ADMIN_ENDPOINT": f"127.0.0.1:{site.admin_port}",
                "OTLP_MONGO_DATA_DIR": str(site.folder),
                "OTLP_MONGO_TRANSCODER": transcoder,
            },
        )

    return command


def _sidecar_ready(site: Site) -> Callable[[], Awaitable[bool]]:
    return answers(f"http://127.0.0.1:{site.admin_port}/readyz")


def _rotel(site: Site) -> Command:
    spec = find_spec("rotel")
    assert spec is not None, "checked in `targets`"
    assert spec.origin is not None
    return Command(
        [str(Path(spec.origin).with_name("rotel-agent")), "start", "--exporter", "blackhole"],
        {
            "ROTEL_OTLP_GRPC_ENDPOINT": f"127.0.0.1:{site.grpc_port}",
            "ROTEL_OTLP_HTTP_ENDPOINT": f"127.0.0.1:{site.http_port}",
            "ROTEL_PID_FILE": str(site.folder / "rotel.pid"),
        },
    )


def _collector(site: Site) -> Command:
    return _otelcol(site, "benchmark-nop.yaml")


def _gateway(site: Site, behind: Site) -> Command:
    """As docs/collector.md has it, but for the length of its queue."""
    command = _otelcol(site, "gateway.yaml", "benchmark-gateway.yaml")
    return Command(
        command.argv,
        {
            **command.env,
            "COLLECTOR_QUEUE_DIR": str(site.folder / "queue"),
            "COLLECTOR_METRICS_PORT": str(site.admin_port),
            "OTLP_MONGO_TARGET": behind.address("grpc"),
        },
    )


def _otelcol(site: Site, *configurations: str) -> Command:
    """A Collector with these files of ours, each laid over those before it."""
    files = (str(ROOT / "collector-config" / name) for name in configurations)
    return Command(
        [str(COLLECTOR), *(argument for file in files for argument in ("--config", file))],
        {
            "COLLECTOR_GRPC_ENDPOINT": f"127.0.0.1:{site.grpc_port}",
            "COLLECTOR_HTTP_ENDPOINT": f"127.0.0.1:{site.http_port}",
        },
    )
