"""From an event to a line, whatever the event holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor

_LONGEST_LINE = 32 << 10
"""Characters. What is longer is shortened: container runtimes cut lines at 16 KiB anyhow."""
_LONGEST_TEXT = 4000

Final = Callable[[EventDict], str]


class Renderer:
    """Makes a line of an event. It never raises, but structlog's own sign that an event is not wanted."""

    def __init__(self, processors: Sequence[Processor], final: Final) -> None:
        self._processors = processors
        self._final = final

    def __call__(self, logger: Any, method: str, event: EventDict) -> str:
        try:
            for processor in self._processors:
                event = processor(logger, method, event)  # type: ignore[assignment] # none of them renders
            line = self._final(event)
            return line if len(line) <= _LONGEST_LINE else self._final(_shortened(event))
        except structlog.DropEvent:
            raise
        except Exception as error:
            return _plain(event, error)


def json_line(event: EventDict) -> str:
    """Machines read these."""
    return orjson.dumps(_message_first(event), default=_text, option=orjson.OPT_NON_STR_KEYS).decode()


def _message_first(event: EventDict) -> EventDict:
    return {"message": event.get("event", "")} | {key: value for key, value in event.items() if key != "event"}


def _plain(event: EventDict, error: Exception) -> str:
    """What can be told of an event that cannot be rendered: as a number beyond 64 bits, or half a character."""
    texts = {_text(key): _text(value)[:_LONGEST_TEXT] for key, value in _message_first(event).items()}
    return json.dumps(texts | {"not_rendered": _text(error)[:_LONGEST_TEXT]})


def _shortened(event: EventDict) -> EventDict:
    return {key: _short(value) for key, value in event.items()}


def _short(value: Any) -> Any:
    text = _text(value)
    if len(text) <= _LONGEST_TEXT:
        return value
    half = _LONGEST_TEXT // 2
    return f"{text[:half]} … {len(text) - 2 * half} characters … {text[-half:]}"


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:
        return f"({type(value).__name__} that cannot be shown: {type(error).__name__})"
