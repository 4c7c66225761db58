"""One POST to an address that was looked at before. Nothing is followed, and next to nothing is read."""

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection

from workers.webhooks.destination import Destination


class DeliveryFailed(Exception):
    """Nobody took the webhook this time; the text says why."""


class _PinnedConnection(HTTPConnection):
    """Connects to the address, whatever the name leads to by now."""

    def __init__(self, destination: Destination, timeout: float) -> None:
        super().__init__(destination.host, destination.port, timeout=timeout)
        self._address = (destination.address, destination.port)

    def connect(self) -> None:
        self.sock = socket.create_connection(self._address, self.timeout)


class _PinnedTlsConnection(HTTPSConnection):
    """The same; the certificate must be the name's."""

    def __init__(self, destination: Destination, timeout: float, context: ssl.SSLContext) -> None:
        super().__init__(destination.host, destination.port, timeout=timeout, context=context)
        self._pinned = context
        self._address = (destination.address, destination.port)

    def connect(self) -> None:
        self.sock = socket.create_connection(self._address, self.timeout)
        # Known before the handshake, so that it ends with the time: it takes the plain socket's descriptor away.
        self.sock = tls = self._pinned.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
        tls.do_handshake()


def post(
    destination: Destination,
    body: bytes,
    headers: Mapping[str, str],
    timeout: float,
    context: ssl.SSLContext | None = None,
) -> None:
    """Returns once the receiver has answered 2xx. Raises NotTaken.

    `timeout` is seconds in all; `context` says whose certificates are trusted, the system's if None.
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
        said = str(error) or type(error).__name__
        raise DeliveryFailed(f"{destination.host} did not answer as it should: {said}") from error
    finally:
        connection.close()
    if not 200 <= status < 300:
        redirected = ", and redirects are not followed" if 300 <= status < 400 else ""
        raise DeliveryFailed(f"{destination.host} answered {status}{redirected}")


@contextmanager
def _total_timeout(timeout: float, connection: HTTPConnection) -> Iterator[None]:
    """Shut the connection down when its time is over: a socket's own time-out begins anew with every byte."""

    def end() -> None:
        with suppress(OSError, AttributeError):
            connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(timeout, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
