"""Bounds that both transcoders keep."""

MAX_DOCUMENTS_BYTES = 256 * 1024 * 1024
"""What the documents of one payload may take together, in bytes.

The resource and the scope are part of each record's document, so a small payload (one large resource, many tiny
records) can stand for terabytes of documents. What is over the bound is refused at the door (docs/documents.md,
What is refused).
"""

UNCOUNTED_BYTES = 256 * 1024
"""What the documents of a larger payload take is counted before they are written. That takes as long as to write them;
for payloads up to this size it is estimated."""
