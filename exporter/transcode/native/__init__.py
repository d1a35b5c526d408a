"""The native transcoder: OTLP bytes to BSON bytes in compiled code, without a Python object per record.

Importing it fails where it was not built (`exporter.transcode.select` decides what then). From bytes to documents:
`wire` reads protobuf, `validate` checks a payload whole, `request` walks over resources, scopes and records; `spans`,
`logs`, `metrics`, `points` and `exemplars` know the records; `pairs` reads attributes, of which `plain` knows the usual
ones, `tree` and `layout` find out where in a document they go, `values` writes them; `bson` writes elements, and
`workspace` holds the memory.
"""

from exporter.transcode.native._transcoder import NativeTranscoder

__all__ = ["NativeTranscoder"]
