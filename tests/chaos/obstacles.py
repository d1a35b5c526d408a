"""What a sidecar or its MongoDB runs out of, or is refused, for as long as a block takes."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import resource
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from exporter.signals import TRACES
from tests.chaos.senders import request
from tests.chaos.world import Mongo, SidecarProcess

_VIEW = 166
"""CommandNotSupportedOnView."""
_THROTTLED = 16500
"""The code that Cosmos DB answers with ("Request rate is large")."""


@asynccontextmanager
async def no_descriptors(sidecar: SidecarProcess, left: int = 0) -> AsyncIterator[None]:
    """Nothing more than `left` can be opened."""
    before = resource.prlimit(sidecar.pid, resource.RLIMIT_NOFILE)
    used = await asyncio.to_thread(lambda: max(int(entry.name) for entry in Path(f"/proc/{sidecar.pid}/fd").iterdir()))
    resource.prlimit(sidecar.pid, resource.RLIMIT_NOFILE, (used + 1 + left, before[1]))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(sidecar.pid, resource.RLIMIT_NOFILE, before)


@asynccontextmanager
async def refused(mongo: Mongo, collection: str) -> AsyncIterator[None]:
    """A collection is a view, which takes no documents; what was in it is there again in the end."""
    aside = f"{collection}_aside"
    async with AsyncMongoClient[dict[str, Any]](mongo.mongod.uri) as client:
        await client.otel[collection].rename(aside)
        try:
            await client.otel.command({"create": collection, "viewOn": aside, "pipeline": []})
            yield
        finally:
            await client.otel.drop_collection(collection)
            # The sidecar tries all the time, and may have made the collection anew by now.
            into: Mapping[str, Any] = {"into": collection, "whenMatched": "keepExisting"}
            await (await client.otel[aside].aggregate([{"$merge": into}])).to_list()
            await client.otel.drop_collection(aside)


@asynccontextmanager
async def failing(mongo: Mongo, mode: Mapping[str, Any] | str = "alwaysOn", **failure: Any) -> AsyncIterator[None]:
    """Inserts fail in this way (mongod's fail point `failCommand`)."""
    point: dict[str, Any] = {"configureFailPoint": "failCommand"}
    async with AsyncMongoClient[dict[str, Any]](mongo.mongod.uri) as client:
        await client.admin.command({**point, "mode": mode, "data": {"failCommands": ["insert"], **failure}})
        try:
            yield
        finally:
            with contextlib.suppress(PyMongoError):
                await client.admin.command({**point, "mode": "off"})


def refusing(mongo: Mongo, collection: str) -> contextlib.AbstractAsyncContextManager[None]:
    """As `refused`, however mongod ends meanwhile: a collection's inserts are answered as if it were a view."""
    return failing(mongo, errorCode=_VIEW, namespace=f"otel.{collection}")


def throttled(mongo: Mongo, times: int) -> contextlib.AbstractAsyncContextManager[None]:
    """So many inserts are answered as by a service that is asked for more than was paid for."""
    return failing(mongo, {"times": times}, errorCode=_THROTTLED)


def large(numbers: range, total_bytes: int) -> bytes:
    """A request of spans with these numbers whose attributes make up so many bytes."""
    found = ExportTraceServiceRequest.FromString(request(TRACES, numbers))
    for span in found.resource_spans[0].scope_spans[0].spans:
        span.attributes.add(key="ballast").value.string_value = "x" * (total_bytes // len(numbers))
    return found.SerializeToString()


def poison(spans: int) -> bytes:
    """A request of empty spans, two bytes each, as gzip: 4 KB for two million."""
    one = ScopeSpans(spans=[Span()]).SerializeToString()
    resource_spans = ResourceSpans(scope_spans=[ScopeSpans.FromString(one * spans)])
    return gzip.compress(ExportTraceServiceRequest(resource_spans=[resource_spans]).SerializeToString())


async def send_poison(http: str, body: bytes) -> int:
    """Send it once. Returns the status, 0 when there was none."""
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
    timeout = aiohttp.ClientTimeout(total=30)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(f"http://{http}/v1/traces", data=body, headers=headers) as response,
        ):
            return response.status
    except (aiohttp.ClientError, TimeoutError):
        return 0
