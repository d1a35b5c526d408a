"""What a sidecar or its MongoDB runs out of, or is refused, one at a time: the rest goes on, and nothing is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.chaos.obstacles import no_descriptors, throttled
from tests.chaos.setup import Setup, database, new_numbers

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]


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
        await setup.send()  # gRPC has all that it opens once
        async with no_descriptors(setup.world.sidecar):
            await asyncio.sleep(1)  # how long it lasts

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


async def test_service_that_throttles_gets_everything_once_and_no_dead_letters(setup: Setup) -> None:
    await setup.warm_up()

    async with throttled(setup.world.cloud, times=10):
        for _ in range(20):
            await setup.send()
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
