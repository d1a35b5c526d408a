"""The sidecar as a whole, in this process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sidecar.application import Sidecar
from sidecar.settings import load


def test_stop_gives_the_parts_what_the_drain_delay_leaves_of_the_grace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MONGODB_URI", "mongodb://127.0.0.1:1/")
    monkeypatch.setenv("OTLP_MONGO_DRAIN_DELAY", "200ms")
    monkeypatch.setenv("OTLP_MONGO_SHUTDOWN_GRACE", "9s")
    sidecar = Sidecar(load().settings, embedded=False)
    graces: list[float] = []

    async def stop(grace: float) -> bool:
        graces.append(grace)
        return True

    monkeypatch.setattr(sidecar._lifecycle, "stop", stop)

    assert asyncio.run(sidecar.stop())

    assert graces == [pytest.approx(8.8)]
