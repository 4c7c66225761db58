"""Where a webhook may go. A host's name says nothing about the network that it leads into, so its addresses are looked
at, and the one that was looked at is the one that is connected to: a name that changes in between changes nothing.
"""

import socket
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from tasks.settings import Settings
from tasks.webhooks import is_host_allowed

Address = IPv4Address | IPv6Address

# Name and port -> what socket.getaddrinfo answers. Raises OSError.
Resolver = Callable[[str, int], Iterable[str]]

DEFAULT_PORTS = {"https": 443, "http": 80}


class DeliveryForbidden(Exception):
    """A webhook must not go there, and never will unless a setting changes. The text says which."""


class Destination(NamedTuple):
    """Where to connect to, and what to ask for there."""

    scheme: str
    host: str
    port: int
    address: str
    target: str


def resolve_host(host: str, port: int) -> list[str]:
    """Every address of a name. Raises OSError."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def resolve_destination(url: str, settings: Settings, resolve: Resolver = resolve_host) -> Destination:
    """The destination of a URL that fits `WebhookUrl`. Raises Refused, and OSError for a name that has no address."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not is_host_allowed(url, settings.webhook_hosts):
        raise DeliveryForbidden(f"the host {host} is not among BULKHEAD_WEBHOOK_HOSTS")
    try:
        port = parts.port or DEFAULT_PORTS[parts.scheme]
        addresses = list(resolve(host, port))
    except ValueError as error:
        raise DeliveryForbidden(f"the URL has no host and port that one could connect to: {error}") from error
    for text in addresses:
        address = ip_address(text)
        within = any(address in network for network in settings.webhook_networks)
        if not within and not is_public(address):
            raise DeliveryForbidden(
                f"{host} leads to {address}, which is not public: allow it by BULKHEAD_WEBHOOK_NETWORKS"
            )
        if not within and parts.scheme != "https":
            raise DeliveryForbidden("webhooks to the public network go by https only")
    target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    return Destination(parts.scheme, host, port, addresses[0], target)


def is_public(address: Address) -> bool:
    """Whether an address, and the one that may be hidden in it, is of the public network."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
        tunnels = [address.sixtofour, *(address.teredo or ())]
        if not all(each is None or is_public(each) for each in tunnels):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved
