"""What all signals have in common: records in groups, by resource and by scope."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import bson
from bson.raw_bson import RawBSONDocument

from exporter.transcode.reference.attributes import put_attributes
from exporter.transcode.reference.messages import Proto
from exporter.transcode.reference.values import Document, put_number, put_text, text


class Series(NamedTuple):
    """Records that begin alike and are of one type."""

    head: Document
    records: Sequence[Proto]
    write: Callable[[Document, Proto, int], None]
    """Writes a record to a document; its last argument is the time of receipt, in Unix nanoseconds."""


class Walk(Protocol):
    """What differs between the signals."""

    resources: str
    """Name of the request's groups by resource."""
    scopes: str
    """Name of a resource's groups by scope."""

    def series(self, scope: Proto) -> Iterator[Series]:
        """The records of a group by scope."""
        ...

    def unix_nano(self, record: Proto) -> int:
        """The time of a record for the `_id`; 0 when it has none."""
        ...


class Group(NamedTuple):
    """A series, and how the documents of its records end."""

    series: Series
    tail: Document


def groups(walk: Walk, request: Proto) -> Iterator[Group]:
    """The records of a request, in their order."""
    for resource in getattr(request, walk.resources):
        resource_tail = field("resource", _resource(resource))
        for scope in getattr(resource, walk.scopes):
            tail = resource_tail | field("scope", _scope(scope))
            for series in walk.series(scope):
                yield Group(series, tail)


def field(name: str, document: Document) -> Document:
    """A field to be merged into many documents, encoded once for all of them; nothing for an empty document."""
    return {name: RawBSONDocument(bson.encode(document))} if document else {}


def _resource(group: Proto) -> Document:
    resource = group.resource
    document: Document = {}
    put_attributes(document, "attributes", resource.attributes, level=2)
    put_text(document, "schemaUrl", group.schema_url)
    put_number(document, "droppedAttributesCount", resource.dropped_attributes_count)
    if resource.entity_refs:
        document["entityRefs"] = [_entity_ref(entity_ref) for entity_ref in resource.entity_refs]
    return document


def _entity_ref(entity_ref: Proto) -> Document:
    document: Document = {}
    put_text(document, "schemaUrl", entity_ref.schema_url)
    put_text(document, "type", entity_ref.type)
    if entity_ref.id_keys:
        document["idKeys"] = [text(key) for key in entity_ref.id_keys]
    if entity_ref.description_keys:
        document["descriptionKeys"] = [text(key) for key in entity_ref.description_keys]
    return document


def _scope(group: Proto) -> Document:
    scope = group.scope
    document: Document = {}
    put_text(document, "name", scope.name)
    put_text(document, "version", scope.version)
    put_attributes(document, "attributes", scope.attributes, level=2)
    put_text(document, "schemaUrl", group.schema_url)
    put_number(document, "droppedAttributesCount", scope.dropped_attributes_count)
    return document
