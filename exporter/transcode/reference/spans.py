"""Traces: a span to a document (docs/documents.md, `spans`)."""

from __future__ import annotations

from collections.abc import Iterator

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from exporter.transcode.reference.attributes import put_attributes
from exporter.transcode.reference.groups import Series
from exporter.transcode.reference.messages import Proto
from exporter.transcode.reference.values import (
    Document,
    integer,
    put_id,
    put_number,
    put_text,
    put_time,
    short_names,
)

_KINDS = short_names(Span.SpanKind.DESCRIPTOR, "SPAN_KIND_")
_CODES = short_names(Status.StatusCode.DESCRIPTOR, "STATUS_CODE_")


class Spans:
    """See `Walk`."""

    resources = "resource_spans"
    scopes = "scope_spans"

    def series(self, scope: Proto) -> Iterator[Series]:
        yield Series({}, scope.spans, _write)

    def unix_nano(self, record: Proto) -> int:
        return int(record.start_time_unix_nano or record.end_time_unix_nano)


def _write(document: Document, span: Proto, _received_unix_nano: int) -> None:
    put_id(document, "traceId", span.trace_id)
    put_id(document, "spanId", span.span_id)
    put_id(document, "parentSpanId", span.parent_span_id)
    put_text(document, "traceState", span.trace_state)
    put_number(document, "flags", span.flags)
    put_text(document, "name", span.name)
    document["kind"] = _KINDS.get(span.kind, span.kind)
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    put_time(document, "startTime", start)
    put_time(document, "endTime", end)
    if start and end:
        document["durationNanos"] = integer(end - start)
    document["status"] = _status(span.status)
    put_attributes(document, "attributes", span.attributes, level=1)
    put_number(document, "droppedAttributesCount", span.dropped_attributes_count)
    if span.events:
        document["events"] = [_event(event) for event in span.events]
    put_number(document, "droppedEventsCount", span.dropped_events_count)
    if span.links:
        document["links"] = [_link(link) for link in span.links]
    put_number(document, "droppedLinksCount", span.dropped_links_count)


def _status(status: Proto) -> Document:
    document: Document = {"code": _CODES.get(status.code, status.code)}
    put_text(document, "message", status.message)
    return document


def _event(event: Proto) -> Document:
    document: Document = {}
    put_text(document, "name", event.name)
    put_time(document, "time", event.time_unix_nano)
    put_attributes(document, "attributes", event.attributes, level=3)
    put_number(document, "droppedAttributesCount", event.dropped_attributes_count)
    return document


def _link(link: Proto) -> Document:
    document: Document = {}
    put_id(document, "traceId", link.trace_id)
    put_id(document, "spanId", link.span_id)
    put_text(document, "traceState", link.trace_state)
    put_number(document, "flags", link.flags)
    put_attributes(document, "attributes", link.attributes, level=3)
    put_number(document, "droppedAttributesCount", link.dropped_attributes_count)
    return document
