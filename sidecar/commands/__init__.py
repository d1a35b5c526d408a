"""The commands of `otlp-mongo`, one module each, imported when they run."""
