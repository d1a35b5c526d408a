"""What stops a benchmark."""


class BenchmarkError(Exception):
    """A measurement that cannot be made or trusted. The text says what failed and what to do."""
