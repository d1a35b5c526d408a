"""`otlp-mongo serve` as a process of its own, for tests from the outside."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-c", "from sidecar.cli import main; main()"]
PATIENCE = 30.0


@dataclass
class Serving:
    """A sidecar process and the folder it runs in."""

    process: subprocess.Popen[str]
    folder: Path
    environment: dict[str, str]

    @property
    def state(self) -> dict[str, Any]:
        """What it wrote down about itself."""
        loaded: dict[str, Any] = json.loads((self.folder / "data" / "sidecar.json").read_text())
        return loaded

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments], capture_output=True, text=True, cwd=self.folder, env=self.environment, timeout=50
        )

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://{self.state['admin']}{path}", timeout=10) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def wait_until_ready(self) -> None:
        def ready() -> bool:
            with contextlib.suppress(OSError):  # no state yet, or one that a killed process left behind
                return self.get("/readyz")[0] == 200
            return False

        self.wait_until(ready)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return once something outside has come about; fails when the process ends first, or takes too long."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            if condition():
                return
            time.sleep(0.02)
        self.process.kill()
        pytest.fail(f"what was waited for did not come about: {self.log()}")

    def wait_until_signals_are_taken(self) -> None:
        """Before that, the system does what it does by default."""
        self.wait_until(lambda: handles_sigterm(self.process.pid))

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def log_lines(self) -> list[dict[str, Any]]:
        """Those that are JSON."""
        return [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]

    def __enter__(self) -> Serving:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def start(
    folder: Path,
    *arguments: str,
    stderr: int | None = None,
    prefix: Sequence[str] = (),
    command: Sequence[str] = COMMAND,
    **variables: str,
) -> Serving:
    """`stderr`: where it goes instead of the file `log`. `prefix`: a program that starts it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTLP_MONGO_", "MONGODB_"))}
    ports = {f"OTLP_MONGO_{name}_ENDPOINT": "127.0.0.1:0" for name in ("GRPC", "HTTP", "ADMIN")}
    environment = inherited | ports | variables
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*prefix, *command, "serve", *arguments],
            stdin=subprocess.DEVNULL,
            stderr=log if stderr is None else stderr,
            text=True,
            cwd=folder,
            env=environment,
        )
    return Serving(process, folder, environment)


def send_log(serving: Serving, text: str = "a") -> int:
    """Send one log record over HTTP. Returns the status of the answer."""
    record = {"timeUnixNano": "1", "body": {"stringValue": text}}
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()
    url = f"http://{serving.state['http']}/v1/logs"
    with urllib.request.urlopen(
        urllib.request.Request(url, body, {"Content-Type": "application/json"}), timeout=10
    ) as response:
        return int(response.status)


def handles_sigterm(pid: int) -> bool:
    """Whether a process has a handler for it (proc(5), SigCgt)."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    caught = int(next(line for line in status.splitlines() if line.startswith("SigCgt:")).split()[1], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)
