from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import AutoReconnect
from pymongo.server_type import SERVER_TYPE

from exporter.mongodb import diagnosis
from exporter.mongodb.diagnosis import why_no_answer


class Client:
    """Answers `hello` with what was written and what a majority has of it."""

    def __init__(self, *last_writes: dict[str, Any] | None, unknown: tuple[tuple[str, int], ...] = ()) -> None:
        self._answers = iter(last_writes)
        self.admin = self
        servers = [SimpleNamespace(address=address, server_type=SERVER_TYPE.Unknown) for address in unknown]
        servers.append(SimpleNamespace(address=("primary", 27017), server_type=SERVER_TYPE.RSPrimary))
        self.topology_description = SimpleNamespace(
            server_descriptions=lambda: {server.address: server for server in servers}
        )

    async def command(self, name: str) -> dict[str, Any]:
        assert name == "hello"
        found = next(self._answers)
        if found is None:
            raise AutoReconnect("gone")
        return {"lastWrite": found} if found else {}


def at(written: int, acknowledged: int) -> dict[str, Any]:
    return {"opTime": {"t": 1, "ts": written}, "majorityOpTime": {"t": 1, "ts": acknowledged}}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "_BETWEEN", 0)


async def why(client: Any) -> str:
    typed: AsyncMongoClient[Any] = client
    return await why_no_answer(typed)


async def test_why_no_answer_majority_stays_behind_names_the_write_concern_and_who_is_gone() -> None:
    reason = await why(Client(at(10, 4), at(12, 4), unknown=(("secondary", 27018),)))

    assert "no majority of the replica set acknowledges writes (write concern)" in reason
    assert "the driver cannot reach secondary:27018" in reason


async def test_why_no_answer_majority_stays_behind_though_all_are_known_says_so() -> None:
    assert "a member is down or far behind" in await why(Client(at(10, 4), at(12, 9)))


@pytest.mark.parametrize(
    "client",
    [Client(at(10, 4), at(12, 10)), Client({}, {}), Client(at(10, 4), None), Client(None)],
    ids=["majority follows", "no replica set", "gone meanwhile", "gone"],
)
async def test_why_no_answer_something_else_is_the_reason_says_nothing(client: Client) -> None:
    assert await why(client) == ""


@pytest.mark.integration
async def test_why_no_answer_of_a_healthy_mongodb_is_nothing(
    mongodb_client: AsyncMongoClient[dict[str, Any]],
) -> None:
    assert await why_no_answer(mongodb_client) == ""
