"""TLS of the edge: certificates, protocol versions and session tickets."""

import os
import socket
import ssl
import warnings
from pathlib import Path

import pytest

from cli.embedded.ports import LOOPBACK
from tests.services.edge.edge_site import Site
from tests.services.edge.haproxy import Node, check_configuration, warnings_of
from workers.tickets.keyring import Key, Keyring
from workers.tickets.node.haproxy import HAProxy


def test_given_all_features_enabled_when_haproxy_checks_the_configuration_then_there_is_no_warning(
    site: Site, certificate: Path, ticket_keys: Path
) -> None:
    result = check_configuration(
        {
            **site.parameters,
            "CERTIFICATE": str(certificate),
            "TICKET_KEYS": str(ticket_keys),
            "TICKET_USER": "www-data",
            "BALANCER": "127.0.0.1:8443",
            **{f"PEER_{number}": f"10.0.0.{number}:10000" for number in range(1, 6)},
            "PEERS_TLS": str(certificate),
            "PHP_2": site.second_php,
            "PHP_3": site.second_php,
            "WEB_2": site.parameters["WEB_1"],
            "WEB_3": site.parameters["WEB_1"],
            "MIN_TLS_VERSION": "TLSv1.3",
            "USER": "",
        }
    )
    assert (result.returncode, warnings_of(result)) == (0, "")


def test_given_a_certificate_then_plain_requests_are_redirected_and_old_tls_versions_are_rejected(
    site: Site, certificate: Path
) -> None:
    node = site.node("tls", CERTIFICATE=str(certificate))
    with socket.create_connection((LOOPBACK, node.http_port)) as line:
        line.sendall(b"GET /page?x=1 HTTP/1.0\r\nHost: edge.example\r\n\r\n")
        assert b"location: https://edge.example/page?x=1" in line.recv(1000)
    assert handshake(node, ssl.TLSVersion.TLSv1_2)[0] == "TLSv1.2"
    assert handshake(node, ssl.TLSVersion.TLSv1_3)[0] == "TLSv1.3"
    with pytest.raises((ssl.SSLError, OSError)):
        handshake(node, ssl.TLSVersion.TLSv1_1)


def test_given_two_nodes_with_the_same_ticket_keys_then_each_resumes_sessions_of_the_other(
    site: Site, certificate: Path, ticket_keys: Path
) -> None:
    keys = {"CERTIFICATE": str(certificate), "TICKET_KEYS": str(ticket_keys)}
    one, other = site.node("one", **keys), site.node("other", **keys)
    without_keys = site.node("without-keys", CERTIFICATE=str(certificate))
    _, session, context = handshake(one, ssl.TLSVersion.TLSv1_2)

    assert resumes(other, context, session)
    assert not resumes(without_keys, context, session)


def test_given_a_ticket_user_then_only_that_user_may_write_to_the_socket_and_keys_can_be_installed(
    site: Site, certificate: Path, ticket_keys: Path, tmp_path: Path
) -> None:
    runtime = tmp_path / "tickets.sock"
    user = {"TICKET_USER": "www-data", "TICKET_SOCKET": str(runtime)}
    site.node("rotated", CERTIFICATE=str(certificate), TICKET_KEYS=str(ticket_keys), **user)
    haproxy, before = HAProxy(runtime, ticket_keys), Keyring.decode(ticket_keys.read_text().split())

    haproxy.sync(after := before.push(Key.generate(before.size, os.urandom)))

    assert haproxy.keys() == after.keys
    assert (runtime.owner(), runtime.stat().st_mode & 0o777) == ("www-data", 0o600)


def handshake(node: Node, version: ssl.TLSVersion) -> tuple[str | None, ssl.SSLSession | None, ssl.SSLContext]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")  # else the client itself rejects old versions
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection((LOOPBACK, node.https_port), timeout=5) as plain,
        context.wrap_socket(plain) as line,
    ):
        line.sendall(b"GET /wp-content/style.css HTTP/1.0\r\n\r\n")
        assert b" 200 " in line.recv(1000)
        return line.version(), line.session, context


def resumes(node: Node, context: ssl.SSLContext, session: ssl.SSLSession | None) -> bool:
    with (
        socket.create_connection((LOOPBACK, node.https_port), timeout=5) as plain,
        context.wrap_socket(plain, session=session) as line,
    ):
        return bool(line.session_reused)
