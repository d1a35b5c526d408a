"""What a run was made on."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def description() -> str:
    """The machine and the versions that matter, for people."""
    packages = ", ".join(_packages())
    return (
        f"{_cpu_model()}, {len(os.sched_getaffinity(0))} CPUs, {_memory_gib():.0f} GiB, "
        f"{platform.system()} {platform.release()}; Python {platform.python_version()}, {packages}, MongoDB 6.0 "
        "(a replica set of one node)"
    )


def _packages() -> Iterator[str]:
    """Those that matter and are there: delivery is measured without Rotel."""
    for name in ("grpcio", "pymongo", "protobuf", "rotel"):
        with suppress(PackageNotFoundError):
            yield f"{name} {version(name)}"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
