"""A mongod of a test's own, with users, TLS or a version of the API that it insists on."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from sidecar.embedded import find_mongod
from sidecar.embedded.process import free_port

ROOT = "root"
ROOT_PASSWORD = "r00t-of-all"
_START_SECONDS = 40.0


class Mongod:
    """A context manager. A replica set of one where `replica_set` names one, else standalone."""

    def __init__(self, folder: Path, arguments: Sequence[str | Path] = (), *, replica_set: str = "") -> None:
        self.port = free_port(None)
        self.address = f"127.0.0.1:{self.port}"
        self._folder = folder
        self._arguments = arguments
        self._replica_set = replica_set
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Mongod:
        (self._folder / "db").mkdir(parents=True, exist_ok=True)
        self.launch()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.kill()

    def launch(self) -> None:
        """Start it, again after `kill`, and return once it can be connected to."""
        command: list[str | Path] = [find_mongod(), "--dbpath", self._folder / "db", "--bind_ip", "127.0.0.1"]
        command += ["--port", str(self.port), "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"]
        command += ["--setParameter", "diagnosticDataCollectionEnabled=false", *self._arguments]
        if self._replica_set:
            command += ["--replSet", self._replica_set, "--oplogSize", "16"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def kill(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def client(self, user_info: str = "", **options: Any) -> MongoClient[dict[str, Any]]:
        """A client once it answers. In a replica set, that is after it was initiated, as the primary."""
        uri = f"mongodb://{user_info}{self.address}/?directConnection=true"
        deadline = time.monotonic() + _START_SECONDS
        while True:
            client = MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=500, **options)
            try:
                if client.admin.command("hello")["isWritablePrimary"]:
                    return client
                with suppress(OperationFailure):
                    member = {"_id": 0, "host": self.address}
                    client.admin.command("replSetInitiate", {"_id": self._replica_set, "members": [member]})
            except PyMongoError:
                if time.monotonic() > deadline or (self._process and self._process.poll() is not None):
                    raise AssertionError((self._folder / "log").read_text()[-3000:]) from None
            client.close()
            time.sleep(0.05)
