"""Which transcoder does the work: the one place where it is chosen."""

from __future__ import annotations

from importlib import import_module
from typing import Literal

import structlog

from exporter.interfaces import Transcoder
from exporter.transcode.limits import MAX_DOCUMENTS_BYTES
from exporter.transcode.reference import ReferenceTranscoder

TranscoderChoice = Literal["auto", "native", "reference"]

_log = structlog.get_logger(__name__)


class TranscoderMissing(Exception):
    """The native transcoder is demanded, but was not built."""


def select_transcoder(choice: TranscoderChoice, *, max_documents_bytes: int = MAX_DOCUMENTS_BYTES) -> Transcoder:
    """Make the transcoder of choice, and log which it is. `auto`: native where it was built, else the reference.

    Raises:
        TranscoderMissing: the choice is `native`, and it was not built.
    """
    if choice == "reference":
        return _chosen(ReferenceTranscoder(max_documents_bytes=max_documents_bytes), choice)
    try:
        native = import_module("exporter.transcode.native")
    except ImportError as error:
        if choice == "native":
            raise TranscoderMissing(
                f"OTLP_MONGO_TRANSCODER=native, but the native transcoder is not there ({error}): install with "
                "a C compiler at hand, or set OTLP_MONGO_TRANSCODER=auto to do without"
            ) from error
        _log.warning(
            "the native transcoder was not built: the reference does the work, for about ten times the CPU time",
            reason=str(error),
        )
        return _chosen(ReferenceTranscoder(max_documents_bytes=max_documents_bytes), choice)
    transcoder: Transcoder = native.NativeTranscoder(max_documents_bytes=max_documents_bytes)
    return _chosen(transcoder, choice)


def _chosen(transcoder: Transcoder, choice: TranscoderChoice) -> Transcoder:
    _log.info("transcoder chosen", transcoder=transcoder.name, setting=choice)
    return transcoder
