"""One POST request: accepted or not, within its timeout."""

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
    """Serve one connection. The host name of the destination does not resolve."""
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


def replies(response: bytes, received: bytearray | None = None) -> Callable[[socket.socket], None]:
    """A receiver that sends this response."""

    def serve(connection: socket.socket) -> None:
        request = b""
        while not request.endswith(b"{}"):
            request += connection.recv(65536)
        if received is not None:
            received.extend(request)
        connection.sendall(response)

    return serve


def test_given_a_receiver_that_answers_2xx_then_the_webhook_is_delivered() -> None:
    received = bytearray()
    with receiver(replies(b"HTTP/1.1 204 No Content\r\n\r\n", received)) as destination:
        post(destination, b"{}", {"webhook-id": "1"}, TIMEOUT)

    lines = received.decode().split("\r\n")
    assert lines[0] == "POST /hooks?x=1 HTTP/1.1"
    assert f"Host: portal.invalid:{destination.port}" in lines
    assert "webhook-id: 1" in lines
    assert lines[-1] == "{}"


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (b"HTTP/1.1 500 Oh\r\n\r\n", "portal.invalid answered 500"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n",
            "portal.invalid answered 302, and redirects are not followed",
        ),
        (b"", "portal.invalid did not answer correctly: Remote end closed connection without response"),
        (b"SSH-2.0\r\n", "portal.invalid did not answer correctly: SSH-2.0"),
        (b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 200 + b"\r\n", "did not answer correctly: got more than 100"),
    ],
)
def test_given_any_other_response_then_the_delivery_fails(response: bytes, message: str) -> None:
    with receiver(replies(response)) as destination, pytest.raises(DeliveryFailed) as caught:
        post(destination, b"{}", {}, TIMEOUT)

    assert message in str(caught.value)


def test_given_a_closed_port_then_the_delivery_fails() -> None:
    with pytest.raises(DeliveryFailed, match="Connection refused"):
        post(Destination("http", "portal.invalid", 1, "127.0.0.1", "/"), b"{}", {}, TIMEOUT)


def drip(connection: socket.socket) -> None:
    """Answer one byte at a time, each within the socket's timeout."""
    with suppress(OSError):
        for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20:
            connection.sendall(bytes([byte]))
            time.sleep(TIMEOUT / 10)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_given_a_receiver_that_answers_byte_by_byte_then_the_total_timeout_applies(scheme: str) -> None:
    started = time.monotonic()
    with receiver(drip) as destination, pytest.raises(DeliveryFailed):
        post(destination._replace(scheme=scheme), b"{}", {}, TIMEOUT)
    assert time.monotonic() - started < TIMEOUT + GRACE


def test_given_a_slow_connection_and_a_stuck_handshake_then_the_total_timeout_applies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect = socket.create_connection

    def slowly(*args: Any) -> socket.socket:
        time.sleep(0.9 * GRACE)
        return connect(*args)

    monkeypatch.setattr(socket, "create_connection", slowly)
    started = time.monotonic()
    with (
        receiver(lambda connection: connection.recv(1 << 20) and connection.recv(1)) as destination,
        pytest.raises(DeliveryFailed),
    ):
        post(destination._replace(scheme="https"), b"{}", {}, GRACE)
    assert time.monotonic() - started < 1.5 * GRACE
