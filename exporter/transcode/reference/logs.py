"""Logs: a log record to a document (docs/documents.md, `logs`)."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.transcode.reference.attributes import any_value, put_attributes
from exporter.transcode.reference.groups import Series
from exporter.transcode.reference.messages import Proto
from exporter.transcode.reference.values import Document, date, integer, put_id, put_number, put_text, put_time


class Logs:
    """See `Walk`."""

    resources = "resource_logs"
    scopes = "scope_logs"

    def series(self, scope: Proto) -> Iterator[Series]:
        yield Series({}, scope.log_records, _write)

    def unix_nano(self, record: Proto) -> int:
        return int(record.time_unix_nano or record.observed_time_unix_nano)


def _write(document: Document, log: Proto, received_unix_nano: int) -> None:
    document["time"] = date(log.time_unix_nano or log.observed_time_unix_nano or received_unix_nano)
    if log.time_unix_nano:
        document["timeUnixNano"] = integer(log.time_unix_nano)
    put_time(document, "observedTime", log.observed_time_unix_nano)
    put_number(document, "severityNumber", log.severity_number)
    put_text(document, "severityText", log.severity_text)
    if log.HasField("body"):
        document["body"] = any_value(log.body, level=1)
    put_text(document, "eventName", log.event_name)
    put_id(document, "traceId", log.trace_id)
    put_id(document, "spanId", log.span_id)
    put_number(document, "flags", log.flags)
    put_attributes(document, "attributes", log.attributes, level=1)
    put_number(document, "droppedAttributesCount", log.dropped_attributes_count)
