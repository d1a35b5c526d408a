"""Proxies that lose answers: a request is stored, but its sender is told to try again."""

from __future__ import annotations

import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import grpc


@dataclass
class Requests:
    """The bodies that came by, by gRPC method or HTTP path."""

    lost: float
    """How many answers get lost at each service, from the first on."""
    bodies: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))

    def add(self, service: str, body: bytes) -> bool:
        """Returns whether its answer is to be lost."""
        self.bodies[service].append(body)
        return len(self.bodies[service]) <= self.lost

    def await_each(self, count: int, *, services: int = 3) -> None:
        """Wait until so many services had `count` requests each."""
        self._await(lambda: [len(bodies) for bodies in list(self.bodies.values())] == [count] * services)

    def await_different(self, count: int, *, services: int = 3) -> None:
        """Wait until so many services had `count` different requests each."""
        self._await(lambda: [len(set(bodies)) for bodies in list(self.bodies.values())] == [count] * services)

    def _await(self, reached: Callable[[], bool], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < deadline, {service: len(bodies) for service, bodies in self.bodies.items()}
            time.sleep(0.02)


@contextmanager
def lossy_grpc(target: str, requests: Requests) -> Iterator[str]:
    """`target` and what it gives: `host:port`."""

    class Forward(grpc.GenericRpcHandler):  # type: ignore[type-arg] # generic in the stubs alone
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
            forward = channel.unary_unary(details.method, None, None)

            def call(body: bytes, context: grpc.ServicerContext) -> bytes:
                answer: bytes = forward(body)
                if requests.add(details.method, body):
                    context.abort(grpc.StatusCode.UNAVAILABLE, "the answer was lost")
                return answer

            return grpc.unary_unary_rpc_method_handler(call)

    with grpc.insecure_channel(target) as channel, ThreadPoolExecutor() as pool:
        server = grpc.server(pool, [Forward()])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}"
        server.stop(0).wait()


@contextmanager
def lossy_http(target: str, requests: Requests) -> Iterator[str]:
    """`target` and what it gives: URLs."""

    class Forward(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status, headers, answer = _post(target + self.path, body, dict(self.headers))
            if requests.add(self.path, body):
                status, headers, answer = 503, {}, b""
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(answer))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: Any) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Forward) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
    kept = {name: value for name, value in headers.items() if name.lower() in ("content-type", "content-encoding")}
    with urllib.request.urlopen(urllib.request.Request(url, body, kept, method="POST"), timeout=10) as answer:
        return answer.status, {"content-type": answer.headers["content-type"]}, answer.read()
