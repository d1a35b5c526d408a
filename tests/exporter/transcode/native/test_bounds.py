"""What is large, deep or adversarial: time and memory stay in proportion, and the bound on documents holds."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import bson
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from exporter.batch import Batch
from exporter.errors import MalformedPayload
from exporter.interfaces import Documents, LargerThanAsked, Transcoder
from exporter.signals import TRACES
from exporter.transcode.reference import ReferenceTranscoder

native = pytest.importorskip("exporter.transcode.native", exc_type=ImportError)

both = pytest.mark.parametrize("make", [ReferenceTranscoder, native.NativeTranscoder])


def spans(count: int, resource_text: str = "", keys: list[str] | None = None) -> bytes:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    if resource_text:
        group.resource.attributes.append(KeyValue(key="text", value=AnyValue(string_value=resource_text)))
    scope = group.scope_spans.add()
    for _ in range(count):
        span = scope.spans.add()
        span.attributes.extend(KeyValue(key=key, value=AnyValue(int_value=1)) for key in keys or [])
    return request.SerializeToString()


def transcode(transcoder: Transcoder, payload: bytes) -> Documents:
    records, *_ = transcoder.inspect(TRACES, payload)
    return transcoder.transcode(Batch(TRACES, payload, 0, 0, records))


@both
def test_inspect_documents_of_exactly_the_bound_are_taken_and_of_a_byte_more_refused(
    make: Callable[..., Transcoder],
) -> None:
    payload = spans(20, resource_text="r" * 1000)
    size = len(transcode(make(), payload).buffer)

    taken = transcode(make(max_documents_bytes=size), payload)

    assert len(taken) == 20
    with pytest.raises(MalformedPayload, match=f"would take more than {size - 1} bytes as documents"):
        make(max_documents_bytes=size - 1).inspect(TRACES, payload)


@both
def test_transcode_within_fewer_bytes_than_the_documents_take_gives_up(make: Callable[..., Transcoder]) -> None:
    transcoder = make()
    batch = Batch(TRACES, spans(20, resource_text="r" * 1000), 0, 0, 20)
    documents = transcoder.transcode(batch)

    within = transcoder.transcode(batch, len(documents.buffer))

    assert within == documents
    with pytest.raises(LargerThanAsked):
        transcoder.transcode(batch, len(documents.buffer) - 1)
    assert transcoder.transcode(batch) == documents  # what was given up left nothing behind


@both
def test_inspect_within_fewer_bytes_gives_up_only_where_the_bound_is_in_doubt(make: Callable[..., Transcoder]) -> None:
    payload = spans(20, resource_text="r" * 1000)
    size = len(transcode(make(), payload).buffer)

    plain = make().inspect(TRACES, payload, 1)

    assert plain.records == 20
    with pytest.raises(LargerThanAsked):
        make(max_documents_bytes=size).inspect(TRACES, payload, size - 1)
    with pytest.raises(MalformedPayload, match="would take more than"):
        make(max_documents_bytes=size - 1).inspect(TRACES, payload, size)


@both
def test_inspect_large_resource_without_records_is_taken(make: Callable[..., Transcoder]) -> None:
    payload = spans(0, resource_text="r" * 10_000)

    documents = transcode(make(max_documents_bytes=100), payload)

    assert len(documents) == 0


def test_inspect_payload_that_stands_for_terabytes_is_refused_before_they_are_all_made() -> None:
    payload = spans(100_000, resource_text="r" * 10_000_000)

    started = time.process_time()
    with pytest.raises(MalformedPayload, match="send less at a time"):
        native.NativeTranscoder().inspect(TRACES, payload)

    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("{}", id="all different"),
        pytest.param("a.{}.b", id="one prefix"),
        pytest.param("{}.a.b.c.d.e", id="deep"),
        pytest.param("same", id="all the same"),
        pytest.param("$ {}", id="none to be placed"),
    ],
)
def test_transcode_span_of_many_attributes_takes_time_in_proportion(key: str) -> None:
    transcoder = native.NativeTranscoder()
    few, many = (spans(1, keys=[key.format(i) for i in range(count)]) for count in (1_000, 50_000))

    cost_of_few, cost_of_many = (_least_cpu_seconds(transcoder, payload) for payload in (few, many))

    # 50 times the work. Were the search for a key linear, it would be 2,500 times.
    assert cost_of_many < 500 * cost_of_few


def _least_cpu_seconds(transcoder: Transcoder, payload: bytes) -> float:
    def run() -> float:
        started = time.thread_time()
        transcode(transcoder, payload)
        return time.thread_time() - started

    return min(run() for _ in range(3))


def test_transcode_more_keys_than_the_small_search_takes_finds_each_again() -> None:
    keys = [f"k{i}.{j}" for i in range(40) for j in range(3)]

    (document,) = transcode(native.NativeTranscoder(), spans(1, keys=keys + keys))

    decoded = bson.decode(document)
    assert decoded["attributes"] == {f"k{i}": {str(j): 1 for j in range(3)} for i in range(40)}
    assert [pair["k"] for pair in decoded["attributesUnnested"]] == keys


def test_transcode_in_threads_at_once_same_documents_as_alone() -> None:
    transcoder = native.NativeTranscoder()
    payloads = [spans(200, resource_text=str(i) * i, keys=["a.b", "a.c", "d"]) for i in range(16)]
    alone = [transcode(transcoder, payload).buffer for payload in payloads]

    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda payload: transcode(transcoder, payload).buffer, payloads * 4))

    assert together == alone * 4


def test_transcode_while_it_works_other_threads_run() -> None:
    transcoder = native.NativeTranscoder()
    payload = spans(1, keys=[str(i) for i in range(100_000)])
    batch = Batch(TRACES, payload, 0, 0, 1)

    def work() -> float:
        started = time.thread_time()
        transcoder.transcode(batch)
        return time.thread_time() - started

    with ThreadPoolExecutor(1) as thread:
        working = thread.submit(work)
        started = time.thread_time()
        while not working.done():
            pass
        meanwhile = time.thread_time() - started

    # Were the GIL held, this thread would stand still but for a switch interval at the start.
    assert meanwhile > working.result() / 5


@pytest.mark.parametrize("bound", [0, -1, 2**31])
def test_native_transcoder_bound_out_of_range_is_an_error(bound: int) -> None:
    with pytest.raises(ValueError, match="max_documents_bytes must be between 1 and 2147483647"):
        native.NativeTranscoder(max_documents_bytes=bound)
