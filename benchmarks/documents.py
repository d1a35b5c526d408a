"""Ready-made documents for the client that only inserts: those the sidecar makes of the same requests."""

from __future__ import annotations

from pathlib import Path

from benchmarks.payloads import templates
from benchmarks.scenarios import Scenario
from exporter import BatchFactory
from exporter.signals import SIGNALS
from exporter.transcode.limits import MAX_DOCUMENTS_BYTES
from exporter.transcode.reference import ReferenceTranscoder


def documents_file(folder: Path, scenario: Scenario) -> Path:
    """Write the documents of a scenario's requests to a file, one after the other."""
    transcoder = ReferenceTranscoder(max_documents_bytes=MAX_DOCUMENTS_BYTES)
    factory = BatchFactory(transcoder)
    path = folder / "documents.bson"
    with path.open("wb") as file:
        for template in templates(scenario.signal, scenario.records):
            file.write(transcoder.transcode(factory.make(SIGNALS[scenario.signal], template.payload)).buffer)
    return path
