"""The reference transcoder: docs/documents.md in plain Python, and the oracle for the native one.

`messages` parses, `groups` walks over resources and scopes, `spans`, `logs` and `metrics` know the records,
`attributes` and `values` what is in them, and `walks` is the table of signals.
"""

from exporter.transcode.reference.transcoder import ReferenceTranscoder

__all__ = ["ReferenceTranscoder"]
