"""Ready BSON in the form in which PyMongo puts it into an insert command for the least CPU time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import bson
import structlog
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument

from exporter.mongodb.chunks import Chunk

Pack = Callable[[Chunk], Sequence[RawBSONDocument]]
"""Makes the `documents` of an insert command."""

_EMPTY = b"\x05\x00\x00\x00\x00"

_log = structlog.get_logger(__name__)


class RawSequence(RawBSONDocument):
    """Several documents, one after the other, that go into an insert command as one object.

    PyMongo sends the documents of an insert as a document sequence (OP_MSG, payload type 1: BSON documents one after
    the other), to which it adds the bytes of each `RawBSONDocument.raw` unseen: as well those of many. It does not
    promise that; hence `choose_pack`, and the check of MongoDB's count in `inserter`.
    """

    __slots__ = ("_documents",)

    def __init__(self, documents: bytes) -> None:
        """Without the base's, which checks that it is given a single document."""
        self._documents = documents

    @property
    def raw(self) -> bytes:
        return self._documents


def pack_runs(chunk: Chunk) -> Sequence[RawBSONDocument]:
    """An object for each run: as many as there were calls, however many documents they brought."""
    return [RawSequence(run.raw) for run in chunk.runs]


def pack_documents(chunk: Chunk) -> Sequence[RawBSONDocument]:
    """An object for each document, as PyMongo documents it.

    Raises:
        BSONError: one of them is not even framed as a document.
    """
    return [RawBSONDocument(document) for document in chunk]


def choose_pack() -> Pack:
    """Sequences where this PyMongo encodes them untouched, else document by document."""
    two = _EMPTY + _EMPTY
    try:
        if bson.encode(RawSequence(two)) == two:
            return pack_runs
    except (BSONError, TypeError, ValueError, AttributeError) as error:
        reason = str(error)
    else:
        reason = "it changed the bytes"
    _log.warning("this PyMongo takes no sequences of raw documents: inserts cost more CPU time", reason=reason)
    return pack_documents
