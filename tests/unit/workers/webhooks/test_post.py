"""One POST: taken, or not, within its time."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from workers.webhooks.destination import Destination
from workers.webhooks.post import DeliveryFailed, post

TIMEOUT = 0.5
GRACE = 1.0


@contextmanager
def receiver(serve: Callable[[socket.socket], object]) -> Iterator[Destination]:
    """Serves one connection; its destination has a name that leads nowhere."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with suppress(OSError):
                connection, _address = server.accept()
                with connection:
                    serve(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        yield Destination("http", "portal.invalid", server.getsockname()[1], "127.0.0.1", "/hooks?x=1")
        thread.join()


def says(answer: bytes, heard: bytearray | None = None) -> Callable[[socket.socket], None]:
    """A receiver that answers so."""

    def serve(connection: socket.socket) -> None:
        got = b""
        while not got.endswith(b"{}"):
            got += connection.recv(65536)
        if heard is not None:
            heard.extend(got)
        connection.sendall(answer)

    return serve


def test_given_a_receiver_that_answers_2xx_then_it_is_taken_and_the_host_is_named() -> None:
    heard = bytearray()
    with receiver(says(b"HTTP/1.1 204 No Content\r\n\r\n", heard)) as where:
        post(where, b"{}", {"webhook-id": "1"}, TIMEOUT)

    lines = heard.decode().split("\r\n")
    assert lines[0] == "POST /hooks?x=1 HTTP/1.1"
    assert f"Host: portal.invalid:{where.port}" in lines
    assert "webhook-id: 1" in lines
    assert lines[-1] == "{}"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 500 Oh\r\n\r\n", "portal.invalid answered 500"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n",
            "portal.invalid answered 302, and redirects are not followed",
        ),
        (b"", "portal.invalid did not answer as it should: Remote end closed connection without response"),
        (b"SSH-2.0\r\n", "portal.invalid did not answer as it should: SSH-2.0"),
        (b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 200 + b"\r\n", "did not answer as it should: got more than 100"),
    ],
)
def test_given_any_other_answer_then_it_is_not_taken(answer: bytes, said: str) -> None:
    with receiver(says(answer)) as where, pytest.raises(DeliveryFailed) as caught:
        post(where, b"{}", {}, TIMEOUT)

    assert said in str(caught.value)


def test_given_nobody_who_listens_then_it_is_not_taken() -> None:
    with pytest.raises(DeliveryFailed, match="Connection refused"):
        post(Destination("http", "portal.invalid", 1, "127.0.0.1", "/"), b"{}", {}, TIMEOUT)


def drip(connection: socket.socket) -> None:
    """Answer a byte at a time, each within any socket's time-out."""
    with suppress(OSError):
        for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20:
            connection.sendall(bytes([byte]))
            time.sleep(TIMEOUT / 10)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_given_a_receiver_that_answers_drop_by_drop_then_the_time_is_over_all_the_same(scheme: str) -> None:
    started = time.monotonic()
    with receiver(drip) as where, pytest.raises(DeliveryFailed):
        post(where._replace(scheme=scheme), b"{}", {}, TIMEOUT)
    assert time.monotonic() - started < TIMEOUT + GRACE


def test_given_a_slow_line_and_a_handshake_that_does_not_end_then_the_time_is_over_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect = socket.create_connection

    def slowly(*args: Any) -> socket.socket:
        time.sleep(0.9 * GRACE)
        return connect(*args)

    monkeypatch.setattr(socket, "create_connection", slowly)
    started = time.monotonic()
    with (
        receiver(lambda connection: connection.recv(1 << 20) and connection.recv(1)) as where,
        pytest.raises(DeliveryFailed),
    ):
        post(where._replace(scheme="https"), b"{}", {}, GRACE)
    assert time.monotonic() - started < 1.5 * GRACE
