"""Routing and request validation of the edge, with HAProxy, PHP-FPM, lighttpd and the web tier."""

import json
import os
import signal
import socket
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from websockets.sync.client import connect

from cli.embedded.ports import LOOPBACK
from tests.services.edge.edge_site import TOKEN, Client, Site, get
from tests.services.edge.haproxy import Node, check_configuration, warnings_of

AUTHENTICATED = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def node(site: Site) -> Node:
    """A node with a high rate limit."""
    return site.node("plain", RATE_PAGES="1000")


@pytest.fixture(scope="module")
def short_timeouts(site: Site) -> Node:
    """A node with timeouts of one second for clients and servers."""
    return site.node("short_timeouts", REQUEST_TIMEOUT="1s", IDLE_TIMEOUT="1s", RATE_PAGES="1000")


def test_given_default_parameters_when_haproxy_checks_the_configuration_then_there_is_no_warning(site: Site) -> None:
    del site  # requested because it skips the test if HAProxy is missing
    result = check_configuration({})
    assert (result.returncode, warnings_of(result)) == (0, "")


@pytest.mark.parametrize(
    ("path", "script", "uri", "info"),
    [
        ("/", "/index.php", "/", None),
        ("/2026/11/a-permalink/?page=2", "/index.php", "/2026/11/a-permalink/?page=2", None),
        ("/robots.txt", "/index.php", "/robots.txt", None),
        ("/wp-sitemap.xml", "/index.php", "/wp-sitemap.xml", None),
        ("/index.php/archive/7", "/index.php", "/index.php/archive/7", "/archive/7"),
        ("/wp-json/wp/v2/posts?per_page=1", "/index.php", "/wp-json/wp/v2/posts?per_page=1", None),
    ],
)
def test_given_a_page_when_requested_then_php_gets_the_script_and_the_unchanged_uri(
    site: Site, node: Node, path: str, script: str, uri: str, info: str | None
) -> None:
    seen = json.loads(get(node, path).body)
    assert (seen["SCRIPT_NAME"], seen["REQUEST_URI"], seen.get("PATH_INFO")) == (script, uri, info)
    assert seen["SCRIPT_FILENAME"] == f"{site.parameters['DOCROOT']}{script}"
    assert seen.get("QUERY_STRING", "") == uri.partition("?")[2]


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/wp-admin/", 200, b"administration"),
        ("/wp-content/style.css", 200, b"body { color: navy }"),
        ("/wp-content/none.css", 404, b"404"),
        ("/none.php", 404, b"File not found."),
        ("/wp-content/uploads/evil.php", 403, b"403"),
        ("/wp-content/uploads/evil.php/x", 403, b"403"),
        ("/wp-content/uploads/%65vil.php", 403, b"403"),
        ("//wp-content/uploads/evil.php", 403, b"403"),
        ("/wp-content//uploads/evil.php", 403, b"403"),
        ("/./wp-content/%2e/uploads/evil.php", 403, b"403"),
        ("/.well-known/acme-challenge/token", 200, b"thumbprint"),
        ("/wp-content/hidden/.secret.css", 403, b"403"),
        ("/wp-login.php/style.css", 403, b"403"),
        ("/fpm-ping", 404, b"404"),
        ("/fpm-status?full", 404, b"404"),
        ("//fpm-status", 404, b"404"),
        ("/%66pm-ping", 404, b"404"),
        ("/fpm-status/x.php", 404, b"404"),
        ("/metrics", 404, b"404"),
        ("/wp-content/../index.php", 400, b"400"),
        ("/wp-content/%2e%2e/index.php", 400, b"400"),
        ("/style.css%00.php", 400, b"400"),
        ("/index.php%0ax", 400, b"400"),
    ],
)
def test_given_a_path_when_requested_then_public_files_are_served_and_private_ones_are_not(
    node: Node, path: str, status: int, body: bytes
) -> None:
    response = get(node, path)
    assert response.status == status
    assert body in response.body


def test_given_the_administration_without_a_trailing_slash_then_the_browser_is_redirected(node: Node) -> None:
    response = get(node, "/wp-admin")
    assert (response.status, response.headers["location"]) == (301, "/wp-admin/")


@pytest.mark.parametrize("status", [201, 202, 301, 302, 303, 307, 308])
def test_given_a_script_that_sends_a_location_then_its_status_is_preserved(node: Node, status: int) -> None:
    response = get(node, f"/made.php?status={status}")
    assert (response.status, response.headers["location"]) == (status, "/it")


def test_given_spoofed_headers_then_php_does_not_get_them_and_both_sides_get_the_same_request_id(
    node: Node,
) -> None:
    spoofed = {
        "Proxy": "http://evil",
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Host": "evil",
        "X-Request-Id": "spoofed",
    }
    response = get(node, "/", "198.51.100.7", {**spoofed, "X_Forwarded_For": "127.0.0.1"})
    seen = json.loads(response.body)

    assert "HTTP_PROXY" not in seen
    assert "HTTP_X_FORWARDED_HOST" not in seen
    assert seen["HTTP_X_FORWARDED_FOR"] == seen["REMOTE_ADDR"] == "198.51.100.7"
    assert seen["HTTP_X_REQUEST_ID"] == response.headers["x-request-id"] != "spoofed"
    line = next(line for line in log_lines(node) if line.startswith(response.headers["x-request-id"]))
    assert line.split()[1:3] == ["198.51.100.7", "pages"]
    assert line.endswith('GET "/"')


def test_given_a_token_in_a_query_then_it_is_not_logged(node: Node) -> None:
    request = get(node, "/wp-login.php?session=of-ben").headers["x-request-id"]
    (line,) = [line for line in log_lines(node) if line.startswith(request)]
    assert '"/wp-login.php"' in line
    assert "of-ben" not in "".join(log_lines(node))


def test_given_too_long_or_too_many_headers_then_the_response_is_400(node: Node) -> None:
    assert get(node, "/", headers={"X-Long": "x" * 16_000}).status == 400
    assert get(node, "/", headers={f"X-{number}": "x" for number in range(120)}).status == 400
    assert get(node, "/", headers={"X-Long": "x" * 8_000}).status == 200


def test_given_slow_headers_then_the_request_times_out(short_timeouts: Node) -> None:
    client = Client(short_timeouts)
    client.connect()
    client.sock.settimeout(0.2)
    client.sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
    started, response = time.monotonic(), b""
    while not response and time.monotonic() < started + 5:
        client.sock.sendall(b"X-Slow: yes\r\n")
        with suppress(TimeoutError):
            response = client.sock.recv(1000)
    client.close()
    assert b" 408 " in response
    assert time.monotonic() - started < 2


def test_given_request_bodies_then_their_size_is_limited_by_class_and_php_gets_them_completely(
    site: Site, node: Node
) -> None:
    small = site.node("bodies", MAX_BODY="1000000", MAX_UPLOAD="2000000")
    assert get(node, "/upload.php", method="POST", body=b"x" * 900_000).body == b"900000"
    assert get(small, "/upload.php", method="POST", body=b"x" * 900_000).body == b"900000"
    assert get(small, "/upload.php", headers={"content-length": "1000001"}, method="POST").status == 413
    assert get(small, "/renders", headers={"content-length": "2000001"}, method="POST").status == 413
    assert get(small, "/renders", headers={"content-length": "0"}, method="POST").status == 401
    assert get(node, "/upload.php", headers={"transfer-encoding": "chunked"}, method="POST").status == 411


def test_given_no_token_when_a_client_claims_to_be_local_then_the_response_is_401(
    node: Node,
) -> None:
    local = {"host": "localhost", "x-forwarded-for": "127.0.0.1", "forwarded": "for=127.0.0.1"}
    assert get(node, "/renders", headers=local).status == 401
    assert get(node, "/renders", headers=AUTHENTICATED).status == 200
    assert get(node, "/healthz").status == 200


def test_given_an_event_stream_when_it_is_idle_longer_than_the_timeout_then_it_stays_open(
    site: Site, short_timeouts: Node
) -> None:
    job = site.create_render()
    client = Client(short_timeouts)
    client.request("GET", f"/renders/{job}/events", headers=AUTHENTICATED)
    response = client.getresponse()
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.readline() == b"event: render\n"
    line = response.readline()
    while line != b": keep-alive\n":  # sent after 7.5 s or more; the idle timeout of the node is 1 s
        assert line, "the stream was closed"
        line = response.readline()
    client.close()


def test_given_a_websocket_when_it_is_idle_longer_than_the_timeout_then_it_stays_open(short_timeouts: Node) -> None:
    line = socket.create_connection((LOOPBACK, short_timeouts.http_port))
    with connect(
        f"ws://{LOOPBACK}:{short_timeouts.http_port}/sensors/echo", sock=line, open_timeout=5
    ) as socket_of_web:
        time.sleep(2.5)
        socket_of_web.send("still here")
        assert socket_of_web.recv(timeout=5) == "still here"


def test_given_a_php_fpm_that_hangs_with_an_open_port_then_its_server_is_marked_as_down(site: Site) -> None:
    node = site.node("hanging", PHP_2=site.second_php, CHECK_INTERVAL="200ms", RATE_PAGES="1000")
    hanging = site.process("php2")
    wait_for_server(node, "php2", "UP")
    os.killpg(hanging.pid, signal.SIGSTOP)
    try:
        socket.create_connection(("127.0.0.1", int(site.second_php.rpartition(":")[2])), timeout=1).close()
        wait_for_server(node, "php2", "DOWN")
        assert {get(node, "/work.php?ms=0").status for _ in range(10)} == {200}
    finally:
        os.killpg(hanging.pid, signal.SIGCONT)
    wait_for_server(node, "php2", "UP")


def test_given_uneven_work_when_balanced_by_least_connections_then_the_longest_wait_is_shorter_than_with_round_robin(
    site: Site,
) -> None:
    longest = {}  # without a queue at the edge, because each of several edges counts only its own requests
    for balance in ("leastconn", "roundrobin"):
        node = site.node(balance, PHP_2=site.second_php, PHP_BALANCE=balance, PHP_MAX_REQUESTS="24", RATE_PAGES="1000")
        wait_for_server(node, "php2", "UP")
        longest[balance] = max(uneven_work(node))
    print(f"longest of 48 requests that alternately take 0 s and 0.5 s: {longest}")
    assert longest["leastconn"] < longest["roundrobin"] * 0.7


def uneven_work(node: Node) -> list[float]:
    """Seconds of 48 requests. Every second one is slow, so round robin sends all slow ones to the same server."""
    with ThreadPoolExecutor(48) as threads:
        responses = []
        for number in range(48):
            responses.append(threads.submit(get, node, f"/work.php?ms={500 * (number % 2)}"))
            time.sleep(0.04)
    return [response.result().seconds for response in responses]


def test_given_the_metrics_then_they_include_tables_and_tarpitted_requests(node: Node) -> None:
    with urllib.request.urlopen(f"http://{LOOPBACK}:{node.metrics_port}/metrics", timeout=5) as response:
        text = response.read().decode()
    assert 'haproxy_sticktable_used{name="fleet/rates1",type="string"}' in text
    assert 'haproxy_backend_current_sessions{proxy="tarpit"} 0' in text


def wait_for_server(node: Node, server: str, state: str, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not node.servers()[("pages", server)].startswith(state):
        assert time.monotonic() < deadline, f"{server} is not {state}"
        time.sleep(0.05)


def log_lines(node: Node) -> list[str]:
    time.sleep(0.1)  # HAProxy logs a request after sending the response
    return node.process.log.read_text().splitlines()
