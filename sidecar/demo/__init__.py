"""`otlp-mongo demo`: a small shop's telemetry, made by the OpenTelemetry SDK, sent over OTLP and shown as stored."""
