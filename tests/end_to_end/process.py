"""Programs under test, as processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

LogLine = Mapping[str, Any]


class Program:
    """A running program that writes its log to stderr as lines of JSON. A context manager that ends it."""

    def __init__(self, command: Sequence[str | Path], environment: Mapping[str, str], folder: Path) -> None:
        """`environment`: beside that of the tests. `folder`: where it runs, and where its log goes."""
        self._name = Path(command[0]).name
        self._log = folder / f"{self._name}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=folder, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stderr=log, stdout=log
            )

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def line(self, wanted: Callable[[LogLine], bool], seconds: float = 30) -> LogLine:
        """The first line of its log that is wanted, once it is there."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            ended = self._process.poll() is not None
            for line in self._lines():
                if wanted(line):
                    return line
            if ended:
                break
            time.sleep(0.02)
        raise AssertionError(f"{self._name} did not log what was waited for:\n{self._log.read_text()}")

    def stop(self, seconds: float = 20) -> int:
        """Ask it to stop, as a container runtime does, and return its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(seconds)

    def kill(self) -> None:
        """End it without a warning."""
        self._process.kill()
        self._process.wait()

    def _lines(self) -> list[LogLine]:
        """A line that is not JSON is not what anybody waits for."""
        text = self._log.read_text(errors="replace")
        found = []
        for line in text[: text.rfind("\n") + 1].splitlines():
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return [line for line in found if isinstance(line, dict)]
