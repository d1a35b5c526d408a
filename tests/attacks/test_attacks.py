"""What one sender can do to the others, at most: a short form of `make attacks`.

Latencies are for `make attacks` on an otherwise idle machine; here the machine is busy with other tests.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from tests.attacks.attacks import ATTACKS
from tests.attacks.world import running, suffer

pytestmark = [pytest.mark.integration, pytest.mark.attack]
PEAK_MIB = 384
_SECONDS = 3.0


@pytest.mark.parametrize("attack", ATTACKS)
async def test_attack_leaves_the_good_client_unharmed_and_memory_bounded(
    tmp_path: Path,
    mongodb_uri: str,
    database_name: str,
    mongodb_client: AsyncMongoClient[dict[str, Any]],
    attack: str,
) -> None:
    with running(tmp_path, mongodb_uri, MONGODB_DATABASE=database_name) as target:
        outcome = await suffer(target, attack, _SECONDS)
    await mongodb_client.drop_database(database_name)

    assert not outcome.experience.failures
    assert len(outcome.experience.seconds) > _SECONDS
    assert outcome.peak_mib <= PEAK_MIB


@pytest.mark.parametrize("attack", ["http_idle_connections", "grpc_idle_connections"])
async def test_connections_without_end_leave_descriptors_for_the_store(
    tmp_path: Path,
    mongodb_uri: str,
    database_name: str,
    mongodb_client: AsyncMongoClient[dict[str, Any]],
    attack: str,
) -> None:
    with running(tmp_path, mongodb_uri, descriptors=256, MONGODB_DATABASE=database_name) as target:
        outcome = await suffer(target, attack, _SECONDS)
        open_descriptors = target.descriptors
        log = target.program._log.read_text()
    await mongodb_client.drop_database(database_name)

    assert not outcome.experience.failures
    assert open_descriptors < 200
    assert "Too many open files" not in log
