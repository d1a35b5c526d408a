"""What is wrong with a JSON document, and where."""

from __future__ import annotations

_MOST_CHARACTERS = 64


class Wrong(Exception):
    """A value is not what the schema has in its place. Gathers its path on the way up."""

    def __init__(self, wanted: str, value: object) -> None:
        """`wanted`: what should stand there, after "must be"."""
        super().__init__(wanted, value)
        self._wanted = wanted
        self._value = value
        self._path = ""

    def within(self, place: str | int) -> None:
        """Say where the value stands that the path begins with: under a key, or at an index."""
        step = f"[{place}]" if isinstance(place, int) else place[:_MOST_CHARACTERS]
        self._path = step + ("." if self._path and self._path[0] != "[" else "") + self._path

    def __str__(self) -> str:
        return f"{self._path or 'the body'} must be {self._wanted}, not {_described(self._value)}"


def _described(value: object) -> str:
    if isinstance(value, str):
        return f"the string {value[:_MOST_CHARACTERS]!r}"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, dict):
        return "an object"
    return "an array" if isinstance(value, list) else f"the number {value!r}"
