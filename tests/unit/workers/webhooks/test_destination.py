"""Webhooks go only to allowed hosts at public addresses."""

import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest

from tasks.settings import Settings
from workers.webhooks.destination import DeliveryForbidden, Destination, is_public, resolve_destination

HOST = "portal.example.com"
URL = f"https://{HOST}/hooks?x=1"


def settings(**fields: Any) -> Settings:
    return Settings.model_validate({"webhook_hosts": HOST, **fields})


def resolves_to(*addresses: str) -> Callable[[str, int], list[str]]:
    """A resolver that returns these addresses for every name."""
    return lambda _host, _port: list(addresses)


def test_given_an_allowed_host_then_the_checked_address_is_the_destination() -> None:
    destination = resolve_destination(URL, settings(), resolves_to("203.0.114.9", "2606:4700::1"))

    assert destination == Destination("https", HOST, 443, "203.0.114.9", "/hooks?x=1")


def test_given_a_port_and_no_path_then_both_are_used() -> None:
    destination = resolve_destination(f"https://{HOST}:8443", settings(), resolves_to("203.0.114.9"))

    assert (destination.port, destination.target) == (8443, "/")


def test_given_a_host_that_is_not_listed_then_it_is_forbidden_without_a_lookup() -> None:
    def never(_host: str, _port: int) -> list[str]:
        raise AssertionError

    with pytest.raises(DeliveryForbidden, match=r"The host evil\.example\.net is not listed in BULKHEAD_WEBHOOK_HOSTS"):
        resolve_destination("https://evil.example.net/", settings(), never)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.1", "224.0.0.1",
        "255.255.255.255", "240.0.0.1", "192.0.2.1", "::1", "::", "fe80::1", "fd00::1", "ff02::1", "::ffff:10.0.0.1",
        "64:ff9b::a00:1", "2002:a00:1::", "2001:0:a00:1::", "2001:db8::1",
    ],
)  # fmt: skip
def test_given_a_private_address_among_others_then_the_name_is_forbidden(address: str) -> None:
    with pytest.raises(DeliveryForbidden, match=r"which is not public\. Allow it in BULKHEAD_WEBHOOK_NETWORKS\."):
        resolve_destination(URL, settings(), resolves_to("203.0.114.9", address))


@pytest.mark.parametrize("address", ["1.1.1.1", "203.0.114.9", "2606:4700::1", "::ffff:1.1.1.1"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ip_address(address))


def test_given_an_allowed_private_network_then_it_is_reached_by_http_too() -> None:
    inside = settings(webhook_networks="10.1.2.0/24")

    assert resolve_destination(f"http://{HOST}/", inside, resolves_to("10.1.2.3")).port == 80
    with pytest.raises(DeliveryForbidden, match=r"10\.1\.3\.3, which is not public"):
        resolve_destination(f"http://{HOST}/", inside, resolves_to("10.1.3.3"))
    with pytest.raises(DeliveryForbidden, match="Webhooks to public addresses require https"):
        resolve_destination(f"http://{HOST}/", inside, resolves_to("1.1.1.1"))


def test_given_a_name_without_an_address_then_the_error_is_transient() -> None:
    def nothing(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(OSError, match="Name or service not known"):
        resolve_destination(URL, settings(), nothing)


@pytest.mark.parametrize("host", ["a..b", "x" * 64])
def test_given_an_invalid_host_name_then_it_is_forbidden(host: str) -> None:
    with pytest.raises(DeliveryForbidden, match="no valid host and port"):
        resolve_destination(f"https://{host}/", settings(webhook_hosts=host))


def test_given_an_invalid_port_then_it_is_forbidden() -> None:
    with pytest.raises(DeliveryForbidden, match="no valid host and port"):
        resolve_destination(f"https://{HOST}:99999/", settings(), resolves_to("1.1.1.1"))
