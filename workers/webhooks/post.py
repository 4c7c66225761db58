"""Sends one POST request to an address that was checked before. Redirects are not followed; only the status is read."""

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection

from tasks.errors import ServiceUnavailable
from workers.webhooks.destination import Destination


class DeliveryFailed(ServiceUnavailable):
    """The receiver did not accept the webhook. The text is the reason."""

    code = "webhook-not-delivered"


class _PinnedConnection(HTTPConnection):
    """Connects to the checked address, whatever the name resolves to now."""

    def __init__(self, destination: Destination, timeout: float) -> None:
        super().__init__(destination.host, destination.port, timeout=timeout)
        self._address = (destination.address, destination.port)

    def connect(self) -> None:
        self.sock = socket.create_connection(self._address, self.timeout)


class _PinnedTlsConnection(HTTPSConnection):
    """Connects to the checked address; the certificate must be valid for the name."""

    def __init__(self, destination: Destination, timeout: float, context: ssl.SSLContext) -> None:
        super().__init__(destination.host, destination.port, timeout=timeout, context=context)
        self._pinned = context
        self._address = (destination.address, destination.port)

    def connect(self) -> None:
        self.sock = socket.create_connection(self._address, self.timeout)
        # Set before the handshake, so that the timeout can end it: the plain socket has lost its descriptor.
        self.sock = tls = self._pinned.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
        tls.do_handshake()


def post(
    destination: Destination,
    body: bytes,
    headers: Mapping[str, str],
    timeout: float,
    context: ssl.SSLContext | None = None,
) -> None:
    """Send the request. Returns once the receiver has answered 2xx. Raises DeliveryFailed.

    `timeout` is the total time in seconds. `context` holds the trusted certificates, the system's if None.
    """
    connection: HTTPConnection
    if destination.scheme == "https":
        connection = _PinnedTlsConnection(destination, timeout, context or ssl.create_default_context())
    else:
        connection = _PinnedConnection(destination, timeout)
    try:
        with _total_timeout(timeout, connection):
            connection.request("POST", destination.target, body, dict(headers))
            status = connection.getresponse().status
    except (OSError, HTTPException, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise DeliveryFailed(f"{destination.host} did not answer correctly: {reason}") from error
    finally:
        connection.close()
    if not 200 <= status < 300:
        hint = ", and redirects are not followed" if 300 <= status < 400 else ""
        raise DeliveryFailed(f"{destination.host} answered {status}{hint}")


@contextmanager
def _total_timeout(timeout: float, connection: HTTPConnection) -> Iterator[None]:
    """Shut the connection down after `timeout` seconds: a socket's own timeout restarts with every byte."""

    def shut_down() -> None:
        with suppress(OSError, AttributeError):
            connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(timeout, shut_down)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
