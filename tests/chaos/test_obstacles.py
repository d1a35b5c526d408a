"""What a sidecar or its MongoDB runs out of, or is refused, one at a time: the rest goes on, and nothing is lost."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from exporter.signals import LOGS, TRACES
from tests.chaos.obstacles import large, no_descriptors, poison, refused, send_poison, throttled
from tests.chaos.senders import send_until_acknowledged
from tests.chaos.setup import Setup, database, new_numbers, until_stored

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]

_LARGE_BYTES = 5_000_000
_POISON_SPANS = 300_000


@pytest.mark.parametrize("left", [0, 3])
async def test_descriptors_running_out_during_an_outage_loses_nothing_and_damages_nothing(
    setup: Setup, left: int
) -> None:
    await setup.warm_up()
    async with setup.world.local.link.cut():
        await setup.send(100)
        async with no_descriptors(setup.world.sidecar, left):
            sending = [asyncio.create_task(setup.send(100)) for _ in range(5)]
            await asyncio.sleep(1)  # how long it lasts
        await asyncio.gather(*sending)

    await setup.check_all_stored_once()


async def test_descriptors_running_out_with_a_backlog_of_an_earlier_process_damages_nothing(setup: Setup) -> None:
    async with setup.world.local.link.cut(), setup.world.cloud.link.cut():
        for _ in range(5):
            await setup.send(200)
        await setup.world.sidecar.kill()
        await setup.world.sidecar.start()
        await setup.world.sidecar.listening()
        async with no_descriptors(setup.world.sidecar):
            await asyncio.sleep(1)  # how long it lasts

    await setup.check_all_stored_once()


async def test_descriptors_running_out_before_the_first_request_lets_it_take_records_afterwards(setup: Setup) -> None:
    sidecar = setup.world.sidecar
    await sidecar.kill()
    await sidecar.start()
    await sidecar.listening()

    async with no_descriptors(sidecar):
        sending = asyncio.create_task(setup.send())
        await asyncio.sleep(1)  # how long it lasts
    await sending

    assert sidecar.exit_code is None
    await setup.check_all_stored_once()


@pytest.mark.parametrize("left", [0, 1, 2, 3, 4, 6])
async def test_descriptors_running_out_during_the_start_lets_it_live_or_end_with_a_reason(
    setup: Setup, left: int
) -> None:
    sidecar = setup.world.sidecar
    await setup.send()
    await sidecar.kill()
    await sidecar.start()  # /healthz answers before the other parts have started

    async with no_descriptors(sidecar, left):
        await asyncio.sleep(1)  # how long it lasts
    code, log = sidecar.exit_code, await asyncio.to_thread(sidecar.log.read_text)
    if code is not None:
        await sidecar.start()
    await setup.send()

    assert code in {None, 1}, log[-2000:]
    assert code is None or "limit of open files" in log.splitlines()[-1], log[-2000:]
    await setup.check_all_stored_once()


async def test_log_pipe_that_nobody_reads_holds_up_nothing(setup: Setup) -> None:
    sidecar = setup.world.sidecar
    with sidecar.log_pipe.stalled(sidecar.pid):
        async with setup.world.local.link.cut():
            async with asyncio.timeout(20):
                await setup.send(100)
            assert await sidecar.answers("/healthz")
        await setup.check_all_stored_once()


async def test_log_pipe_that_nobody_reads_lets_it_stop(setup: Setup) -> None:
    sidecar = setup.world.sidecar
    with sidecar.log_pipe.stalled(sidecar.pid):
        await setup.send(100)
        code = await sidecar.stop()
    await sidecar.start()

    assert code == 0
    await setup.check_all_stored_once()


async def test_log_pipe_that_is_gone_holds_up_nothing(setup: Setup) -> None:
    sidecar = setup.world.sidecar
    await asyncio.to_thread(sidecar.log_pipe.close)

    async with setup.world.local.link.cut():
        await setup.send(100)
    await setup.check_all_stored_once()
    code = await sidecar.stop()
    await sidecar.start()

    assert code == 0


@pytest.mark.parametrize("which", ["local", "cloud"])
async def test_collection_that_takes_nothing_lets_the_other_signals_go_on(setup: Setup, which: str) -> None:
    mongo, logs = getattr(setup.world, which), new_numbers(10)
    await setup.warm_up()

    async with refused(mongo, "logs"):
        await send_until_acknowledged(setup.sender.over_grpc, LOGS, logs, setup.ledger, random.Random(1))
        for _ in range(3):
            await until_stored(mongo, await setup.send())

    await setup.check_all_stored_once()


async def test_service_that_throttles_gets_everything_once_and_no_dead_letters(setup: Setup) -> None:
    await setup.warm_up()

    async with throttled(setup.world.cloud, times=10):
        for _ in range(20):
            await setup.send()
        await setup.check_all_stored_once()


async def test_poison_batch_lets_those_behind_it_go_on(setup: Setup) -> None:
    body = poison(_POISON_SPANS)

    async with setup.world.cloud.link.cut():
        status = await send_poison(setup.world.sidecar.http, body)
        behind = [await setup.send() for _ in range(5)]
    for numbers in behind:
        await until_stored(setup.world.local, numbers)
        await until_stored(setup.world.cloud, numbers)
    await setup.check_all_stored_once()
    stored = [await _without_number(setup, mongo) for mongo in (setup.world.local, setup.world.cloud)]

    assert status in {200, 413, 429, 503}, status
    assert stored == ([_POISON_SPANS, _POISON_SPANS] if status == 200 else [0, 0])


async def test_narrow_link_delivers_megabytes_of_documents(setup: Setup) -> None:
    await setup.warm_up()
    numbers = new_numbers(500)
    payload = large(numbers, _LARGE_BYTES)
    cloud = setup.world.cloud

    async with cloud.link.throttled(200_000):
        async with asyncio.timeout(20):
            while (await setup.sender.over_grpc(TRACES, payload)).status != "OK":  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        setup.ledger.acknowledged[TRACES.name].update(numbers)
        behind = await setup.send()
        await until_stored(setup.world.local, behind)
        async with asyncio.timeout(120), database(cloud) as stored:
            wanted: dict[str, Any] = {"attributes.number": {"$in": [*numbers, *behind]}}
            while await stored.spans.count_documents(wanted) < len(numbers) + len(behind):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.2)

    await setup.check_all_stored_once()


async def test_slow_link_delivers_what_takes_longer_than_any_insert_may(setup: Setup) -> None:
    await setup.warm_up()
    numbers = new_numbers(500)
    cloud = setup.world.cloud

    async with cloud.link.throttled(40_000):
        await setup.send_these(setup.sender.over_grpc, numbers)
        async with asyncio.timeout(90), database(cloud) as stored:
            wanted: dict[str, Any] = {"attributes.number": {"$in": list(numbers)}}
            while await stored.spans.count_documents(wanted) < len(numbers):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.2)

    await setup.check_all_stored_once()


async def _without_number(setup: Setup, mongo: Any) -> int:
    async with database(mongo) as stored:
        found = await stored.spans.delete_many({"attributes.number": {"$exists": False}})
        return found.deleted_count
