"""The addresses of the running sidecar as its other commands use them."""

from __future__ import annotations

from dataclasses import replace

from receiver.endpoint import Endpoint

LONGEST_UNIX_PATH = 107
"""Bytes of a socket's path that Linux allows (unix(7))."""
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound here


def reachable(endpoint: str) -> Endpoint:
    """An endpoint for a client on this machine: a wildcard address is reached by the loopback one."""
    parsed = Endpoint.parse(endpoint)
    return replace(parsed, host=_WILDCARDS.get(parsed.host, parsed.host))
