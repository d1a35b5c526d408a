"""The sidecar under test, as its senders and MongoDB see it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.database import Database

from tests.end_to_end.shop import Document, Sent, assert_same, documents, ordered


@dataclass(frozen=True, slots=True)
class Sidecar:
    """Endpoints are `host:port`."""

    grpc: str
    http: str
    store: Database[dict[str, Any]]

    def stored(self, collection: str, service: str) -> list[Document]:
        """The documents of a service, in the order of their `_id`s."""
        found = self.store[collection].find({"resource.attributes.service.name": service})
        return list(found.sort("_id"))

    def counts(self, service: str) -> Mapping[str, int]:
        """How many documents a service has, by collection."""
        return {name: len(self.stored(name, service)) for name in ("spans", "logs", "metrics")}

    def await_counts(self, service: str, expected: Mapping[str, int], seconds: float = 20) -> None:
        """Wait for documents that come by way of a queue. More than expected fail at once."""
        deadline = time.monotonic() + seconds
        while (counts := self.counts(service)) != expected and time.monotonic() < deadline:
            assert all(counts[name] <= expected[name] for name in expected), counts
            time.sleep(0.05)
        assert counts == expected

    def assert_holds_shop(self, service: str, sent: Sent) -> None:
        """Exactly the shop's documents, each once."""
        for collection, expected in documents(service, sent).items():
            assert_same(ordered(collection, self.stored(collection, service)), expected)
