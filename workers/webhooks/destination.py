"""Decides where a webhook may go. A host name says nothing about the network behind it, so its addresses are checked.
The connection is made to the address that was checked: a DNS record that changes in between has no effect.
"""

import socket
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from tasks.errors import InvalidInput
from tasks.settings import Settings
from tasks.webhooks import is_host_allowed

Address = IPv4Address | IPv6Address

# Host name and port -> addresses. Raises OSError.
Resolver = Callable[[str, int], Iterable[str]]

DEFAULT_PORTS = {"https": 443, "http": 80}


class DeliveryForbidden(InvalidInput):
    """The settings do not allow this webhook. The text names the setting."""

    code = "webhook-forbidden"


class Destination(NamedTuple):
    """The address to connect to, and the request target."""

    scheme: str
    host: str
    port: int
    address: str
    target: str


def resolve_host(host: str, port: int) -> list[str]:
    """All addresses of a host name. Raises OSError."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def resolve_destination(url: str, settings: Settings, resolve: Resolver = resolve_host) -> Destination:
    """The destination of a URL that matches `WebhookUrl`. Raises DeliveryForbidden; OSError if it has no address."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not is_host_allowed(url, settings.webhook_hosts):
        raise DeliveryForbidden(f"The host {host} is not listed in BULKHEAD_WEBHOOK_HOSTS.")
    try:
        port = parts.port or DEFAULT_PORTS[parts.scheme]
        addresses = list(resolve(host, port))
    except ValueError as error:
        raise DeliveryForbidden(f"The URL has no valid host and port: {error}.") from error
    for text in addresses:
        address = ip_address(text)
        is_allowed = any(address in network for network in settings.webhook_networks)
        if not is_allowed and not is_public(address):
            raise DeliveryForbidden(
                f"{host} resolves to {address}, which is not public. Allow it in BULKHEAD_WEBHOOK_NETWORKS."
            )
        if not is_allowed and parts.scheme != "https":
            raise DeliveryForbidden("Webhooks to public addresses require https.")
    target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    return Destination(parts.scheme, host, port, addresses[0], target)


def is_public(address: Address) -> bool:
    """Whether an address, and any address embedded in it, is public."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
        tunnels = [address.sixtofour, *(address.teredo or ())]
        if not all(each is None or is_public(each) for each in tunnels):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved
