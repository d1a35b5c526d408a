"""OTLP requests as raw bytes, for what no SDK sends."""

from __future__ import annotations

import gzip
import urllib.error
import urllib.request
from typing import NamedTuple

import grpc

from exporter import Signal


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    content_type: str
    body: bytes


def send_grpc(endpoint: str, method: str, body: bytes) -> bytes:
    """The bytes of the answer. Raises grpc.RpcError."""
    with grpc.insecure_channel(endpoint) as channel:
        answer: bytes = channel.unary_unary(method, None, None)(body, timeout=20)
        return answer


def send_http(
    endpoint: str, path: str, body: bytes, content_type: str = "application/x-protobuf", *, compress: bool = False
) -> Answer:
    """`path`: as in `/v1/traces`."""
    headers = {"content-type": content_type}
    if compress:
        headers["content-encoding"] = "gzip"
        body = gzip.compress(body)
    request = urllib.request.Request(f"http://{endpoint}{path}", body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return Answer(answer.status, answer.headers["content-type"], answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers["content-type"], error.read())


def export_grpc(endpoint: str, signal: Signal, body: bytes) -> bytes:
    """Send a signal's export request."""
    return send_grpc(endpoint, signal.grpc_method, body)


def export_http(endpoint: str, signal: Signal, body: bytes, *, compress: bool = False) -> Answer:
    """Send a signal's export request."""
    return send_http(endpoint, signal.http_path, body, compress=compress)
