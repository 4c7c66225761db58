"""Does a session that began on one node go on at every other one? Asked by real handshakes, from where clients are."""

import socket
import ssl
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

# Handshakes at once.
MAX_HANDSHAKES = 8

# In TLS 1.3 tickets come after the handshake, so something must be read; any answer will do.
REQUEST = b"HEAD / HTTP/1.1\r\nHost: ticket-check\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class ResumptionCheck:
    """Whether a ticket of `source` was taken by `target`; `error` says why there is no answer."""

    source: str
    target: str
    version: str
    resumed: bool
    error: str = ""


def check_resumption(
    addresses: Mapping[str, str], *, server_name: str | None = None, timeout: float = 5
) -> list[ResumptionCheck]:
    """Every pair of nodes (`host:port` by name), each with itself too, in TLS 1.2 and 1.3. `timeout` in seconds.

    Certificates are not looked at: a ticket is taken or not whoever shows it.
    """
    with ThreadPoolExecutor(MAX_HANDSHAKES) as pool:
        begun = [(source, version) for version in VERSIONS for source in addresses]
        rows = pool.map(lambda each: list(_row(each[0], each[1], addresses, server_name, timeout)), begun)
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
    """A client of this TLS version alone. A session goes on only in the context that it began in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = VERSIONS[version]
    return context


def handshake(
    context: ssl.SSLContext, address: str, session: ssl.SSLSession | None, name: str | None, timeout: float
) -> tuple[ssl.SSLSession | None, bool]:
    """A connection's session, and whether it was resumed. Raises OSError."""
    host, _, port = address.rpartition(":")
    raw = socket.create_connection((host.strip("[]"), int(port)), timeout=timeout)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with raw, context.wrap_socket(raw, server_hostname=name, session=session) as line:
        line.sendall(REQUEST)
        line.recv(1)
        return line.session, bool(line.session_reused)
