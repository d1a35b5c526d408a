"""The server: a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import bson

from tests.services import wire
from tests.services.personalities import Error, Personality
from tests.services.store import Collection

Command = dict[str, Any]
_IGNORED = ("endSessions", "killCursors", "ping")


class Refused(Exception):
    """A command that fails."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.message)
        self.error = error


class StubServer:
    """One service. What its tests look at may be read from any thread once nothing is under way."""

    def __init__(self, personality: Personality) -> None:
        self.personality = personality
        self.address = ""
        self.commands = Counter[str]()
        """How often each was sent."""
        self._databases: dict[str, dict[str, Collection]] = defaultdict(lambda: defaultdict(Collection))
        self._tokens = float(personality.documents_a_second or 0)
        self._filled = time.monotonic()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def uri(self) -> str:
        """As users of such services write it, without retryable writes."""
        return f"mongodb://{self.address}/?retryWrites=false"

    def documents(self, database: str, collection: str) -> Sequence[Mapping[str, Any]]:
        """What is stored."""
        return list(self._databases[database][collection].documents.values())

    def indexes(self, database: str, collection: str) -> set[str]:
        """The names of a collection's indexes."""
        return set(self._databases[database][collection].indexes)

    def add_unique_index(self, database: str, collection: str, field: str) -> None:
        """As a user's own. Before anything is inserted."""
        self._databases[database][collection].indexes["own"] = {"key": {field: 1}, "name": "own", "unique": True}

    def stop(self) -> None:
        """End `serve`, from any thread."""
        self._loop.call_soon_threadsafe(self._stop.set)

    async def serve(self, started: Callable[[], None]) -> None:
        """Answer until `stop`."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        started()
        await self._stop.wait()
        server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                request = await wire.read(reader)
                reply = self._answer(request.command)
                if request.wants_answer:
                    writer.write(wire.answer(request, reply))
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def _answer(self, command: Command) -> Command:
        name = next(iter(command))
        self.commands[name] += 1
        try:
            return {**self._run(name, command), "ok": 1.0}
        except Refused as refused:
            return {"ok": 0.0, "errmsg": refused.error.message, "code": refused.error.code}

    def _run(self, name: str, command: Command) -> Command:
        who = self.personality
        if name in who.no_commands:
            raise Refused(who.no_commands[name])
        if "txnNumber" in command:
            raise Refused(who.retryable_writes)
        for option in command:
            self._check_option(name, option)
        if name.lower() in ("hello", "ismaster"):
            return self._hello()
        if name in _IGNORED:
            return {}
        method = getattr(self, f"_{name}", None)
        if method is None:
            raise Refused(Error(59, f"no such command: '{name}'"))
        result: Command = method(self._databases[command["$db"]], command)
        return result

    def _check_option(self, command: str, option: str) -> None:
        if error := self.personality.no_options.get(f"{command}.{option}"):
            raise Refused(error)

    def _hello(self) -> Command:
        own = {
            name: value.format(address=self.address) if isinstance(value, str) else value
            for name, value in self.personality.hello.items()
        }
        if "hosts" in own:
            own["hosts"] = [self.address]
        return {
            "ismaster": True,
            "isWritablePrimary": True,
            "helloOk": True,
            "maxBsonObjectSize": 16 << 20,
            "maxMessageSizeBytes": 48_000_000,
            "maxWriteBatchSize": 100_000,
            "localTime": datetime.now(UTC),
            "minWireVersion": 0,
            "readOnly": False,
            **own,
        }

    def _buildInfo(self, _database: Any, _command: Command) -> Command:  # noqa: N802 - the commands' own names
        return {"version": "5.0.0", "versionArray": [5, 0, 0, 0], "maxBsonObjectSize": 16 << 20}

    _buildinfo = _buildInfo

    def _connectionStatus(self, _database: Any, _command: Command) -> Command:  # noqa: N802
        return {"authInfo": {"authenticatedUsers": [], "authenticatedUserPrivileges": []}}

    def _insert(self, database: Mapping[str, Collection], command: Command) -> Command:
        who = self.personality
        collection, inserted, errors = database[command["insert"]], 0, []
        for index, encoded in enumerate(command["documents"]):
            if not self._take_token():
                errors.append({"index": index, **_throttled()})
            elif collection.insert(_decoded(encoded)):
                inserted += 1
            else:
                namespace = f"{command['$db']}.{command['insert']}"
                message = who.duplicate.format(namespace=namespace, collection=command["insert"])
                if who.duplicate_fails_command:
                    raise Refused(Error(11000, message))
                errors.append({"index": index, "code": 11000, "errmsg": message})
            if errors and (who.stops_at_first_error or command.get("ordered", True)):
                break
        return {"n": inserted, **({"writeErrors": errors} if errors else {})}

    def _take_token(self) -> bool:
        rate = self.personality.documents_a_second
        if rate is None:
            return True
        now = time.monotonic()
        self._tokens = min(rate, self._tokens + (now - self._filled) * rate)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _find(self, database: Mapping[str, Collection], command: Command) -> Command:
        found = database[command["find"]].find(command.get("filter", {}))
        if limit := command.get("limit"):
            found = found[:limit]
        projection = command.get("projection", {})
        if projection.get("_id") == 1 or projection.get("_id") is True:
            found = [{"_id": document["_id"]} for document in found]
        return _cursor(command, "find", found)

    def _delete(self, database: Mapping[str, Collection], command: Command) -> Command:
        statements = [_decoded(statement) for statement in command["deletes"]]
        return {"n": sum(database[command["delete"]].delete(statement["q"]) for statement in statements)}

    def _listCollections(self, database: Mapping[str, Collection], command: Command) -> Command:  # noqa: N802
        wanted = command.get("filter", {}).get("name")
        found = [
            {"name": name, "type": "collection", "options": collection.options, "info": {"readOnly": False}}
            for name, collection in database.items()
            if wanted in (None, name)
        ]
        return _cursor(command, "listCollections", found)

    def _create(self, database: dict[str, Collection], command: Command) -> Command:
        if command["create"] in database:
            raise Refused(Error(48, f"Collection {command['create']} already exists"))
        database[command["create"]] = Collection()
        return {}

    def _drop(self, database: dict[str, Collection], command: Command) -> Command:
        database.pop(command["drop"], None)
        return {}

    def _createIndexes(self, database: Mapping[str, Collection], command: Command) -> Command:  # noqa: N802
        collection = database[command["createIndexes"]]
        for index in command["indexes"]:
            for option in index:
                self._check_option("createIndexes", option)
            collection.indexes[index["name"]] = {"v": 2, **index}
        return {}

    def _listIndexes(self, database: Mapping[str, Collection], command: Command) -> Command:  # noqa: N802
        if command["listIndexes"] not in database:
            raise Refused(Error(26, "ns does not exist"))
        return _cursor(command, "listIndexes", list(database[command["listIndexes"]].indexes.values()))

    def _dropIndexes(self, database: Mapping[str, Collection], command: Command) -> Command:  # noqa: N802
        if database[command["dropIndexes"]].indexes.pop(command["index"], None) is None:
            raise Refused(Error(27, f"index not found with name [{command['index']}]"))
        return {}


def _cursor(command: Command, name: str, batch: Sequence[Mapping[str, Any]]) -> Command:
    target = command[name] if isinstance(command[name], str) else "$cmd.listCollections"
    return {"cursor": {"id": 0, "ns": f"{command['$db']}.{target}", "firstBatch": list(batch)}}


def _throttled() -> Command:
    return {
        "code": 16500,
        "errmsg": "Error=16500, RetryAfterMs=20, Details='Response status code does not indicate success: "
        "TooManyRequests (429); Substatus: 3200; Reason: (The request rate is too large.)",
    }


def _decoded(document: bytes | Command) -> Command:
    return bson.decode(document) if isinstance(document, bytes) else document


@contextmanager
def serving(personality: Personality) -> Iterator[StubServer]:
    """A service that listens on a port of its own."""
    stub = StubServer(personality)
    started = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(stub.serve(started.set)), name=personality.name)
    thread.start()
    try:
        if not started.wait(10):
            raise AssertionError("the stub server did not start")
        yield stub
    finally:
        stub.stop()
        thread.join(10)
