"""`otlp-mongo healthcheck`, where the quick way (`sidecar.quick_health`) does not tell."""

from __future__ import annotations

import http.client
import socket

from receiver.endpoint import Endpoint
from sidecar.addresses import reachable
from sidecar.data_folder import DataFolder
from sidecar.errors import UserError
from sidecar.quick_health import TIMEOUT_SECONDS, unready
from sidecar.settings import Settings, load


class NotReady(UserError):
    """The sidecar is not ready, or cannot be asked."""


def run() -> None:
    """Return when the sidecar is ready.

    Raises:
        NotReady: it is not.
    """
    address = _admin_address(load().settings)
    try:
        status, body = _get(address, "/readyz")
    except (OSError, http.client.HTTPException) as error:
        raise NotReady(f"no sidecar answers on {address} ({error}): start one with `otlp-mongo serve`") from error
    if status != http.client.OK:
        raise NotReady(f"not ready: {unready(body)}")


def _admin_address(settings: Settings) -> Endpoint:
    """Where the running sidecar says it listens, else where the settings say."""
    running = DataFolder(settings.data_dir).running()
    endpoint = (running and running.admin) or settings.admin_endpoint
    if endpoint is None:
        raise NotReady("OTLP_MONGO_ADMIN_ENDPOINT: got off, and healthcheck needs it")
    return reachable(endpoint)


def _get(address: Endpoint, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address.host or "localhost", address.port or None, timeout=TIMEOUT_SECONDS)
    try:
        if address.path:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(TIMEOUT_SECONDS)
            connection.sock.connect(address.path)
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
