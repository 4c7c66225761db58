"""Checks by real handshakes whether a TLS session that started on one node can be resumed on every other one."""

import socket
import ssl
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

MAX_HANDSHAKES = 8  # at a time

# In TLS 1.3 tickets arrive after the handshake, so the client must read something; any response will do.
REQUEST = b"HEAD / HTTP/1.1\r\nHost: ticket-check\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class ResumptionCheck:
    """Whether `target` accepted a ticket of `source`; `error` is the reason why there is no result."""

    source: str
    target: str
    version: str
    resumed: bool
    error: str = ""


def check_resumption(
    addresses: Mapping[str, str], *, server_name: str | None = None, timeout: float = 5
) -> list[ResumptionCheck]:
    """Check every pair of nodes (`host:port` by name), each with itself too, in TLS 1.2 and 1.3. `timeout` in seconds.

    Certificates are not verified: a node accepts a ticket or not, whatever its certificate is.
    """
    with ThreadPoolExecutor(MAX_HANDSHAKES) as pool:
        starts = [(source, version) for version in VERSIONS for source in addresses]
        rows = pool.map(lambda start: list(_row(start[0], start[1], addresses, server_name, timeout)), starts)
        return [check for row in rows for check in row]


def _row(
    source: str, version: str, addresses: Mapping[str, str], name: str | None, timeout: float
) -> Iterable[ResumptionCheck]:
    context = tls_context(version)
    try:
        session, _resumed = handshake(context, addresses[source], None, name, timeout)
    except OSError as error:
        for target in addresses:
            yield ResumptionCheck(source, target, version, resumed=False, error=f"{source}: {error}")
        return
    for target, address in addresses.items():
        try:
            _session, resumed = handshake(context, address, session, name, timeout)
            yield ResumptionCheck(source, target, version, resumed)
        except OSError as error:
            yield ResumptionCheck(source, target, version, resumed=False, error=f"{target}: {error}")


def tls_context(version: str) -> ssl.SSLContext:
    """A client context of one TLS version. A session can be resumed only in the context that it started in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = VERSIONS[version]
    return context


def handshake(
    context: ssl.SSLContext, address: str, session: ssl.SSLSession | None, name: str | None, timeout: float
) -> tuple[ssl.SSLSession | None, bool]:
    """Connect. Returns the session, and whether it was resumed. Raises OSError."""
    host, _, port = address.rpartition(":")
    raw = socket.create_connection((host.strip("[]"), int(port)), timeout=timeout)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with raw, context.wrap_socket(raw, server_hostname=name, session=session) as connection:
        connection.sendall(REQUEST)
        connection.recv(1)
        return connection.session, bool(connection.session_reused)
