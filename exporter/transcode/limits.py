"""Bounds that both transcoders keep."""

MAX_DOCUMENTS_BYTES = 256 * 1024 * 1024
"""What the documents of one payload may take together, in bytes.

The resource and the scope are part of each record's document, so a small payload (one large resource, many tiny
records) can stand for terabytes of documents. What is over the bound is refused at the door (docs/documents.md,
What is refused).
"""
