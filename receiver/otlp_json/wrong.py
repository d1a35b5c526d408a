"""What is wrong with a JSON document, and where."""

from __future__ import annotations

from collections.abc import Iterable

_MOST_CHARACTERS = 64
_LONG_PATH = 400


class Wrong(Exception):
    """A value is not what the schema has in its place. Gathers its path on the way up."""

    def __init__(self, wanted: str, value: object) -> None:
        """`wanted`: what should stand there, after "must be"."""
        super().__init__(wanted, value)
        self._wanted = wanted
        self._value = value
        self._path: list[str | int] = []

    def within(self, place: str | int) -> None:
        """Say where the value stands that the path begins with: under a key, or at an index."""
        self._path.append(place)

    def __str__(self) -> str:
        return f"{path_of(reversed(self._path)) or 'the body'} must be {self._wanted}, not {_described(self._value)}"


class Refused(Exception):
    """The native converter does not take a document: it is wrong, or has a field twice."""

    def __init__(self, offset: int, path: Iterable[str | int]) -> None:
        """`offset`: of the byte where it stopped. `path`: the keys and positions that lead there, outermost first."""
        super().__init__(offset, path)
        self.offset = offset
        self.path = path


def path_of(places: Iterable[str | int]) -> str:
    """Keys and positions as JavaScript has them: `spans[1].name`."""
    path = ""
    for place in places:
        path += f"[{place}]" if isinstance(place, int) else ("." if path else "") + place[:_MOST_CHARACTERS]
    # The reason comes behind it, and is cut off sooner.
    return path if len(path) <= _LONG_PATH else f"{path[: _LONG_PATH // 2]} ... {path[-_LONG_PATH // 2 :]}"


def _described(value: object) -> str:
    if isinstance(value, str):
        return f"the string {value[:_MOST_CHARACTERS]!r}"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, dict):
        return "an object"
    return "an array" if isinstance(value, list) else f"the number {value!r}"
