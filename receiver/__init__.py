"""Network in: OTLP over gRPC and HTTP, admission, and the statuses we answer with."""
