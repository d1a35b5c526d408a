from __future__ import annotations

import os
import resource
import socket
from pathlib import Path

import pytest

from receiver.endpoint import Endpoint, EndpointInUse, ReceiverStartError


@pytest.mark.parametrize("text", ["127.0.0.1:4317", "[::1]:0", "localhost:80", "unix:/run/otlp.sock"])
def test_parse_then_str_is_the_same(text: str) -> None:
    assert str(Endpoint.parse(text)) == text


@pytest.mark.parametrize("text", ["", "4317", ":4317", "host", "host:", "host:x", "host:65536", "host:-1", "unix:"])
def test_parse_wrong_names_it_and_says_what_is_right(text: str) -> None:
    with pytest.raises(ReceiverStartError) as caught:
        Endpoint.parse(text)

    assert repr(text) in str(caught.value)
    assert "host:port" in str(caught.value)


def test_bind_port_zero_takes_free_one_and_refuses_second() -> None:
    (first,) = Endpoint.parse("127.0.0.1:0").bind()
    port = first.getsockname()[1]

    with first, pytest.raises(EndpointInUse, match=f"127.0.0.1:{port}"):
        Endpoint.parse(f"127.0.0.1:{port}").bind()

    assert port


@pytest.mark.parametrize(
    "text", ["192.0.2.1:4317", "no.such.host.invalid:4317", "unix:/no/such/folder/x", "unix:/etc/hosts"]
)
def test_bind_where_it_cannot_names_endpoint(text: str) -> None:
    with pytest.raises(ReceiverStartError, match=text.replace("[", r"\[")):
        Endpoint.parse(text).bind()


def test_bind_stale_unix_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(str(path))

    (listener,) = Endpoint.parse(f"unix:{path}").bind()

    with listener, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_bind_live_unix_socket_is_in_use_and_kept(tmp_path: Path) -> None:
    endpoint = Endpoint.parse(f"unix:{tmp_path}/x.sock")
    (listener,) = endpoint.bind()

    with listener, socket.socket(socket.AF_UNIX) as client:
        with pytest.raises(EndpointInUse):
            endpoint.bind()
        client.connect(endpoint.path)


def test_bind_without_descriptors_names_the_limit_to_raise() -> None:
    endpoint = Endpoint.parse("127.0.0.1:0")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)  # every number below is taken
    os.close(free)

    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        with pytest.raises(ReceiverStartError) as caught:
            endpoint.bind()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

    assert "raise the limit of open files" in str(caught.value)
