"""The usual case of `otlp-mongo healthcheck`, for next to no CPU time: a container runs it every few seconds.

It imports neither the settings nor the command line, which take ten times as long as asking. What is not the usual case
(no sidecar, wrong settings, an answer that is none) is left to the command itself, which can explain it.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket

TIMEOUT_SECONDS = 5.0
_DATA_DIR = "OTLP_MONGO_DATA_DIR"
_LONGEST_ANSWER = 1 << 20
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound here


def verdict() -> str | None:
    """Empty: the running sidecar is ready. Other text: why it is not. None: the quick way does not tell."""
    try:
        endpoint = _endpoint()
        if endpoint is None:
            return None
        head, _, body = _ask(endpoint).partition(b"\r\n\r\n")
    except (OSError, ValueError, KeyError, TypeError):
        return None
    status = head.split(b" ", 2)[1:2]
    if status == [b"200"]:
        return ""
    return unready(body) if status == [b"503"] else None


def unready(body: bytes) -> str:
    """What `/readyz` says about the parts that are not ready."""
    try:
        parts = json.loads(body)["parts"]
        return ", ".join(f"{name} is {part['state']}" for name, part in parts.items() if not part["ready"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return "the answer is not a sidecar's"


def _endpoint() -> str | None:
    """Where the running sidecar says that its admin endpoint is; None when none runs."""
    folder = os.environ.get(_DATA_DIR)
    if folder is None and os.path.exists(".env"):  # noqa: PTH110 - pathlib takes longer than all of this
        return None
    folder = folder or "data"
    lock = os.open(f"{folder}/sidecar.lock", os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        with open(f"{folder}/sidecar.json", "rb") as file:  # noqa: PTH123
            endpoint = json.load(file)["admin"]
            return endpoint if isinstance(endpoint, str) else None
    finally:
        os.close(lock)
    return None


def _ask(endpoint: str) -> bytes:
    path = endpoint.removeprefix("unix:")
    if path != endpoint:
        connection = socket.socket(socket.AF_UNIX)
        address: str | tuple[str, int] = path
    else:
        host, _, port = endpoint.rpartition(":")
        host = host.strip("[]")
        host = _LOOPBACK.get(host, host)
        connection = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        address = (host, int(port))
    with connection:
        connection.settimeout(TIMEOUT_SECONDS)
        connection.connect(address)
        connection.sendall(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")
        answer = b""
        while len(answer) < _LONGEST_ANSWER and (part := connection.recv(1 << 16)):
            answer += part
        return answer
