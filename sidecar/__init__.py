"""The composition root: settings, command line, lifecycle, self-telemetry, admin HTTP, embedded mongod."""
