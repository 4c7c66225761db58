"""What the edge passes on, to whom, and what it does not: with real HAProxies, PHP-FPM, lighttpd and the web tier."""

import base64
import json
import os
import secrets
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.sync.client import connect

from cli.embedded.ports import LOOPBACK
from cli.embedded.process import NotInstalled
from tests.conftest import without
from tests.services.edge.fleet_edge import TOKEN, Client, Site, get, serving
from tests.services.haproxy import Node, check
from workers.tickets.keyring import Key, Keyring
from workers.tickets.node.haproxy import HAProxy

KNOWN = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    try:
        with serving() as site:
            yield site
    except NotInstalled as error:
        without(error)


@pytest.fixture(scope="module")
def node(site: Site) -> Node:
    """One edge whose budgets are not what is looked at."""
    return site.node("plain", PAGES="1000")


@pytest.fixture(scope="module")
def brisk(site: Site) -> Node:
    """One that loses patience after a second, with clients and with servers."""
    return site.node("brisk", PATIENCE="1s", SILENCE="1s", PAGES="1000")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("certificate")
    request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subprocess.run(
        ["openssl", *request, "-subj", "/CN=edge", "-keyout", path / "key", "-out", path / "crt"],
        check=True,
        capture_output=True,
    )
    (path / "pem").write_bytes((path / "crt").read_bytes() + (path / "key").read_bytes())
    return path / "pem"


@pytest.fixture(scope="module")
def ticket_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys"
    path.write_bytes(b"".join(base64.b64encode(secrets.token_bytes(48)) + b"\n" for _ in range(3)))
    return path


def test_given_no_parameter_when_haproxy_checks_the_configuration_then_without_a_warning(site: Site) -> None:
    del site  # for its skip where HAProxy is missing
    result = check({})
    assert (result.returncode, quiet(result.stderr)) == (0, "")


def test_given_every_part_switched_on_when_haproxy_checks_the_configuration_then_without_a_warning(
    site: Site, certificate: Path, ticket_keys: Path
) -> None:
    result = check(
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
            "INTAKE_2": site.parameters["INTAKE_1"],
            "INTAKE_3": site.parameters["INTAKE_1"],
            "TLS": "TLSv1.3",
            "USER": "",
        }
    )
    assert (result.returncode, quiet(result.stderr)) == (0, "")


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
def test_given_a_page_when_asked_for_then_php_knows_its_script_and_the_address_as_the_client_wrote_it(
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
def test_given_a_path_when_asked_for_then_files_are_served_and_what_is_nobodys_business_is_not(
    node: Node, path: str, status: int, body: bytes
) -> None:
    answer = get(node, path)
    assert answer.status == status
    assert body in answer.body


def test_given_administration_without_its_slash_then_the_browser_is_sent_there(node: Node) -> None:
    answer = get(node, "/wp-admin")
    assert (answer.status, answer.headers["location"]) == (301, "/wp-admin/")


@pytest.mark.parametrize("status", [201, 202, 301, 302, 303, 307, 308])
def test_given_a_script_that_names_a_location_then_its_status_is_passed_on(node: Node, status: int) -> None:
    answer = get(node, f"/made.php?status={status}")
    assert (answer.status, answer.headers["location"]) == (status, "/it")


def test_given_headers_that_lie_then_php_sees_none_of_them_and_the_request_has_one_name_on_both_sides(
    node: Node,
) -> None:
    lies = {"Proxy": "http://evil", "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "evil", "X-Request-Id": "mine"}
    answer = get(node, "/", "198.51.100.7", {**lies, "X_Forwarded_For": "127.0.0.1"})
    seen = json.loads(answer.body)

    assert "HTTP_PROXY" not in seen
    assert "HTTP_X_FORWARDED_HOST" not in seen
    assert seen["HTTP_X_FORWARDED_FOR"] == seen["REMOTE_ADDR"] == "198.51.100.7"
    assert seen["HTTP_X_REQUEST_ID"] == answer.headers["x-request-id"] != "mine"
    line = next(line for line in logged(node) if line.startswith(answer.headers["x-request-id"]))
    assert line.split()[1:3] == ["198.51.100.7", "pages"]
    assert line.endswith('GET "/"')


def test_given_a_token_in_a_query_then_the_log_does_not_have_it(node: Node) -> None:
    request = get(node, "/wp-login.php?session=of-ben").headers["x-request-id"]
    (line,) = [line for line in logged(node) if line.startswith(request)]
    assert '"/wp-login.php"' in line
    assert "of-ben" not in "".join(logged(node))


def test_given_headers_that_are_too_long_or_too_many_then_400(node: Node) -> None:
    assert get(node, "/", headers={"X-Long": "x" * 16_000}).status == 400
    assert get(node, "/", headers={f"X-{number}": "x" for number in range(120)}).status == 400
    assert get(node, "/", headers={"X-Long": "x" * 8_000}).status == 200


def test_given_headers_that_come_a_line_at_a_time_then_the_connection_ends_when_patience_does(brisk: Node) -> None:
    client = Client(brisk)
    client.connect()
    client.sock.settimeout(0.2)
    client.sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
    begun, answer = time.monotonic(), b""
    while not answer and time.monotonic() < begun + 5:
        client.sock.sendall(b"X-Slow: yes\r\n")
        with suppress(TimeoutError):
            answer = client.sock.recv(1000)
    client.close()
    assert b" 408 " in answer
    assert time.monotonic() - begun < 2


def test_given_bodies_then_their_size_is_bounded_by_class_and_php_gets_them_whole(site: Site, node: Node) -> None:
    small = site.node("bodies", BODY="1000000", UPLOAD="2000000")
    assert get(node, "/upload.php", method="POST", body=b"x" * 900_000).body == b"900000"
    assert get(small, "/upload.php", method="POST", body=b"x" * 900_000).body == b"900000"
    assert get(small, "/upload.php", headers={"content-length": "1000001"}, method="POST").status == 413
    assert get(small, "/renders", headers={"content-length": "2000001"}, method="POST").status == 413
    assert get(small, "/renders", headers={"content-length": "0"}, method="POST").status == 401
    assert get(node, "/upload.php", headers={"transfer-encoding": "chunked"}, method="POST").status == 411


def test_given_the_intake_when_who_comes_through_the_edge_has_no_token_then_401_also_where_it_says_it_is_local(
    node: Node,
) -> None:
    local = {"host": "localhost", "x-forwarded-for": "127.0.0.1", "forwarded": "for=127.0.0.1"}
    assert get(node, "/renders", headers=local).status == 401
    assert get(node, "/renders", headers=KNOWN).status == 200
    assert get(node, "/healthz").status == 200


def test_given_an_event_stream_when_it_lasts_longer_than_any_silence_then_it_goes_on(site: Site, brisk: Node) -> None:
    job = site.put_render()
    client = Client(brisk)
    client.request("GET", f"/renders/{job}/events", headers=KNOWN)
    answer = client.getresponse()
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.readline() == b"event: render\n"
    line = answer.readline()
    while line != b": still here\n":  # after 7.5 s or more, where the edge loses patience after one
        assert line, "the stream was cut off"
        line = answer.readline()
    client.close()


def test_given_a_websocket_when_nobody_speaks_for_longer_than_any_silence_then_it_stays(brisk: Node) -> None:
    line = socket.create_connection((LOOPBACK, brisk.http_port))
    with connect(f"ws://{LOOPBACK}:{brisk.http_port}/sensors/echo", sock=line, open_timeout=5) as socket_of_web:
        time.sleep(2.5)
        socket_of_web.send("still here")
        assert socket_of_web.recv(timeout=5) == "still here"


def test_given_a_php_fpm_that_hangs_then_its_port_is_open_and_the_edge_knows_better(site: Site) -> None:
    node = site.node("hanging", PHP_2=site.second_php, CHECK="200ms", PAGES="1000")
    hanging = site.process("php2")
    until_server(node, "php2", "UP")
    os.killpg(hanging.pid, signal.SIGSTOP)
    try:
        socket.create_connection(("127.0.0.1", int(site.second_php.rpartition(":")[2])), timeout=1).close()
        until_server(node, "php2", "DOWN")
        assert {get(node, "/work.php?ms=0").status for _ in range(10)} == {200}
    finally:
        os.killpg(hanging.pid, signal.SIGCONT)
    until_server(node, "php2", "UP")


def test_given_uneven_work_when_it_is_spread_by_least_connections_then_nobody_waits_as_long_as_in_turn(
    site: Site,
) -> None:
    longest = {}  # with no queue at the edge, as where each of several edges sees only what it has sent itself
    for balance in ("leastconn", "roundrobin"):
        node = site.node(balance, PHP_2=site.second_php, PHP_BALANCE=balance, PHP_CHILDREN="24", PAGES="1000")
        until_server(node, "php2", "UP")
        longest[balance] = max(uneven_work(node))
    print(f"seconds that the unluckiest of 48 requests took, of 0 s and 0.5 s in turn: {longest}")
    assert longest["leastconn"] < longest["roundrobin"] * 0.7


def uneven_work(node: Node) -> list[float]:
    """Seconds of 48 requests, every other one slow: in turn, one of two servers gets all of these."""
    with ThreadPoolExecutor(48) as threads:
        answers = []
        for number in range(48):
            answers.append(threads.submit(get, node, f"/work.php?ms={500 * (number % 2)}"))
            time.sleep(0.04)
    return [answer.result().seconds for answer in answers]


def test_given_a_certificate_then_plain_requests_are_sent_to_tls_and_old_versions_are_refused(
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


def test_given_two_nodes_with_one_file_of_ticket_keys_then_a_session_of_one_is_resumed_by_the_other(
    site: Site, certificate: Path, ticket_keys: Path
) -> None:
    keys = {"CERTIFICATE": str(certificate), "TICKET_KEYS": str(ticket_keys)}
    one, other = site.node("one", **keys), site.node("other", **keys)
    stranger = site.node("stranger", CERTIFICATE=str(certificate))
    _, session, context = handshake(one, ssl.TLSVersion.TLSv1_2)

    assert resumes(other, context, session)
    assert not resumes(stranger, context, session)


def test_given_the_user_of_the_nodes_program_then_its_socket_is_his_alone_and_by_it_a_key_comes(
    site: Site, certificate: Path, ticket_keys: Path, tmp_path: Path
) -> None:
    runtime = tmp_path / "tickets.sock"
    user = {"TICKET_USER": "www-data", "TICKET_SOCKET": str(runtime)}
    site.node("rotated", CERTIFICATE=str(certificate), TICKET_KEYS=str(ticket_keys), **user)
    haproxy, before = HAProxy(runtime, ticket_keys), Keyring.decode(ticket_keys.read_text().split())

    haproxy.sync(after := before.push(Key.generate(before.size, os.urandom)))

    assert haproxy.keys() == after.keys
    assert (runtime.owner(), runtime.stat().st_mode & 0o777) == ("www-data", 0o600)


def test_given_prometheus_then_it_finds_tables_and_who_waits(node: Node) -> None:
    with urllib.request.urlopen(f"http://{LOOPBACK}:{node.metrics_port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    assert 'haproxy_sticktable_used{name="fleet/seen1",type="string"}' in text
    assert 'haproxy_backend_current_sessions{proxy="tarpit"} 0' in text


def handshake(node: Node, version: ssl.TLSVersion) -> tuple[str | None, ssl.SSLSession | None, ssl.SSLContext]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")  # or the client refuses old versions itself
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


def until_server(node: Node, server: str, state: str, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not node.servers()[("pages", server)].startswith(state):
        assert time.monotonic() < deadline, f"{server} is not {state}"
        time.sleep(0.05)


def quiet(stderr: str) -> str:
    """What HAProxy says beyond which one it is."""
    return "\n".join(line for line in stderr.splitlines() if "[NOTICE]" not in line)


def logged(node: Node) -> list[str]:
    time.sleep(0.1)  # the line is written when the connection has taken the answer
    return node.process.log.read_text().splitlines()
