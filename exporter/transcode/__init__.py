"""From OTLP bytes to BSON documents (docs/documents.md): the transcoders, and the choice between them."""
