"""Rate limits of the edge: five HAProxy nodes that count together, and single nodes with low limits."""

import asyncio
import re
import resource
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import pytest

from cli.embedded.ports import LOOPBACK
from cli.embedded.process import NotInstalled
from tests.conftest import skip_or_fail
from tests.services.edge.edge_site import STATIC_KBYTES, TOKEN, Client, Response, Site, get, running_site
from tests.services.edge.haproxy import Node

SYNCHRONIZATION_TIMEOUT = 30.0  # seconds
RATE_PAGES = 50  # default limit of requests in ten seconds
TARPIT_DELAY = 5.0  # seconds
CLOCK_TOLERANCE = 0.01  # seconds
PEER_LAG = 0.02  # seconds between two requests, enough for the peers to receive the counters
TILE = "tiles_files/9/3_2.webp"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    try:
        with running_site() as site:
            site.start_fleet()
            yield site
    except NotInstalled as error:
        skip_or_fail(error)


def request_in_turn(nodes: Sequence[Node], times: int, *addresses: str) -> list[Response]:
    """Request a page `times` times, cycling through the nodes and the client addresses."""
    responses = []
    for node, address, _ in zip(cycle(nodes), cycle(addresses), range(times), strict=False):
        responses.append(get(node, "/page", address))
        time.sleep(PEER_LAG)
    return responses


def request_in_turn_while_connected(nodes: Sequence[Node], times: int, network: str) -> list[Response]:
    """Repeat the requests with new clients of `network` until the peers stayed connected throughout.

    For seconds after a start or reload, HAProxy's peers may disconnect and count separately until they reconnect.
    """

    def connections() -> list[dict[int, str]]:
        return [
            {peer.number: identifier for peer in nodes if (identifier := node.peer_connections().get(peer.number))}
            for node in nodes
        ]

    for host in range(1, 20):
        wait_until(lambda: all(len(each) == len(nodes) - 1 for each in connections()), SYNCHRONIZATION_TIMEOUT)
        before = connections()
        responses = request_in_turn(nodes, times, f"{network}.{host}")
        if connections() == before:
            return responses
    pytest.fail("the peers did not stay connected during the requests")


def statuses(responses: Sequence[Response]) -> Counter[int]:
    return Counter(response.status for response in responses)


def assert_the_51st_request_is_delayed(responses: Sequence[Response]) -> None:
    assert statuses(responses) == {200: RATE_PAGES, 429: 1}
    assert responses[-1].status == 429
    assert TARPIT_DELAY - CLOCK_TOLERANCE <= responses[-1].seconds < TARPIT_DELAY + 1
    assert responses[-1].headers["retry-after"] == "10"


def test_given_five_nodes_when_a_client_requests_51_pages_in_turn_then_the_51st_is_delayed_and_rejected_with_429(
    site: Site,
) -> None:
    assert_the_51st_request_is_delayed(request_in_turn_while_connected(site.nodes, 51, "203.0.113"))
    assert get(site.nodes[0], "/page", "198.51.100.2").status == 200


def test_given_two_addresses_of_one_ipv6_prefix_when_they_send_requests_then_they_share_a_limit(
    site: Site,
) -> None:
    node = site.node("neighbours", RATE_PAGES="10", TARPIT_DELAY="200ms")
    assert statuses(request_in_turn([node], 11, "2001:db8:1:2::1", "2001:db8:1:2:ffff::9")) == {200: 10, 429: 1}
    assert get(node, "/page", "2001:db8:1:3::1").status == 200


def test_given_a_burst_on_all_nodes_then_it_exceeds_the_limit_only_by_the_lag_of_the_peers(site: Site) -> None:
    burst = 300  # more than the nodes would accept without exchanging counters
    with ThreadPoolExecutor(burst) as threads:
        responses = list(threads.map(lambda number: get(site.nodes[number % 5], "/page", "198.51.100.3"), range(burst)))
    passed = statuses(responses)
    print(f"a burst of {burst} at once over five nodes: {passed[200]} passed, {passed[429]} were rejected")
    assert set(passed) == {200, 429}
    assert RATE_PAGES <= passed[200] <= len(site.nodes) * RATE_PAGES


def test_given_a_viewer_when_it_loads_300_tiles_then_none_is_delayed(site: Site) -> None:
    viewer = {"authorization": f"Bearer {TOKEN}"}
    tile = f"/renders/{site.create_render(TILE)}/{TILE}"
    with ThreadPoolExecutor(6) as connections:  # connections of a browser
        responses = list(
            connections.map(lambda number: get(site.nodes[number % 5], tile, "198.51.100.4", viewer), range(300))
        )
    assert statuses(responses) == {200: 300}
    assert {response.body for response in responses} == {b"RIFF tile"}


def test_given_an_authenticated_client_then_its_session_has_a_separate_limit_on_every_node(site: Site) -> None:
    assert get(site.nodes[0], "/wp-login.php?session=session-of-ann-0001", "198.51.100.5").body == b"welcome"
    wait_until(lambda: "used:0" not in site.nodes[4].run_command("show table fleet/sessions"))
    ann = {"cookie": "wordpress_logged_in=session-of-ann-0001"}

    session_responses = [get(site.nodes[number % 5], "/page", "198.51.100.5", ann) for number in range(3 * RATE_PAGES)]

    assert statuses(session_responses) == {200: 3 * RATE_PAGES}
    assert "of-ann" not in site.nodes[0].run_command("show table fleet/sessions")


def test_given_an_invalid_cookie_or_token_then_it_does_not_raise_the_limit(site: Site) -> None:
    node = site.node("invalid-tokens", RATE_PAGES="10", RATE_API="10", TARPIT_DELAY="100ms")
    cookies = [get(node, "/page", "198.51.100.6", {"cookie": f"wordpress_logged_in={n}"}) for n in range(15)]
    tokens = [get(node, "/renders", "198.51.100.6", {"authorization": f"Bearer {n}"}) for n in range(15)]

    assert statuses(cookies) == {200: 10, 429: 5}
    assert statuses(tokens) == {401: 10, 429: 5}


def test_given_a_reloaded_node_when_a_client_continues_then_its_counters_are_preserved(site: Site) -> None:
    wait_until(site.nodes[0].has_synchronized, SYNCHRONIZATION_TIMEOUT)  # so that it has counters to pass on
    before = request_in_turn(site.nodes[:1], 30, "198.51.100.7")
    site.nodes[0].reload()
    wait_until(lambda: "198.51.100.7" in site.nodes[0].run_command("show table fleet/rates1"))  # from the old process
    assert_the_51st_request_is_delayed([*before, *request_in_turn(site.nodes[:1], 21, "198.51.100.7")])


def test_given_a_dead_node_when_a_client_uses_the_others_then_they_continue_to_count(site: Site) -> None:
    site.nodes[4].process.kill()
    assert_the_51st_request_is_delayed(request_in_turn_while_connected(site.nodes[:4], 51, "192.0.2"))


def test_given_a_client_over_its_byte_limit_then_its_downloads_are_throttled_and_those_of_others_are_not(
    site: Site,
) -> None:
    node = site.node("bytes", BYTES_PER_MINUTE="4000000", TARPIT_DELAY="500ms")
    first = get(node, "/big.zip", "198.51.100.1")
    wait_until(
        lambda: re.search(
            r"198\.51\.100\.1 .*bytes_out_rate\(60000\)=\d{8}", node.run_command("show table fleet/rates1")
        )
    )
    second = get(node, "/big.zip", "198.51.100.1")  # HAProxy counts bytes at the end of a response

    assert first.status == 200
    assert len(first.body) == 24 << 20
    assert first.seconds > (len(first.body) >> 10) / STATIC_KBYTES - 1.1  # lighttpd counts in whole seconds
    assert second.status == 429
    assert get(node, "/wp-content/style.css", "198.51.100.2").status == 200


def test_given_a_scraper_with_many_addresses_then_requests_for_its_drawing_are_limited_except_for_authenticated_users(
    site: Site,
) -> None:
    node = site.node("drawing", RATE_DRAWING="30", TARPIT_DELAY="200ms")
    viewer = {"authorization": f"Bearer {TOKEN}"}
    drawing, another = (f"/renders/{site.create_render(TILE)}/{TILE}" for _ in range(2))
    assert get(node, "/renders", "198.51.100.1", viewer).status == 200  # the edge stores the session

    scraped = [get(node, drawing, f"203.0.113.{number}") for number in range(40)]
    other = get(node, another, "203.0.113.99")

    assert statuses(scraped) == {401: 30, 429: 10}
    assert other.status == 401
    assert get(node, drawing, "198.51.100.1", viewer).status == 200


def test_given_a_client_with_too_many_connections_then_its_next_connection_is_rejected_and_those_of_others_are_not(
    site: Site,
) -> None:
    node = site.node("connections", MAX_CONNECTIONS_PER_CLIENT="10")
    held = [Client(node, "198.51.100.1") for _ in range(10)]
    for client in held:
        client.request("GET", "/wp-content/style.css")
        assert client.getresponse().read()
    with pytest.raises(OSError, match=r"reset|closed|Remote end"):
        get(node, "/wp-content/style.css", "198.51.100.1")
    assert get(node, "/wp-content/style.css", "198.51.100.2").status == 200
    for client in held:
        client.close()


def test_given_a_flood_of_new_clients_then_known_clients_are_accepted_and_most_new_ones_are_not(site: Site) -> None:
    node = site.node("new-clients", NEW_CLIENT_RATE="20")
    assert direct(node, "127.0.0.2")
    with ThreadPoolExecutor(60) as threads:
        flood = list(threads.map(lambda number: direct(node, f"127.0.1.{number}"), range(1, 61)))
        assert direct(node, "127.0.0.2")
    assert 0 < sum(flood) <= 40  # a flood that takes longer than a second gets a new limit


def test_given_a_full_tarpit_when_other_clients_arrive_then_they_are_served_and_excess_connections_are_dropped(
    site: Site,
) -> None:
    node = site.node("fill_tarpit", RATE_PAGES="0", TARPIT_DELAY="20s", MAX_TARPITTED="4000")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192) if hard > 0 else 8192, hard))
    try:
        asyncio.run(fill_tarpit(node, 4_200))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def fill_tarpit(node: Node, size: int) -> None:
    """Open `size` connections of clients over their limit, and send requests of a client below it meanwhile."""
    gate = asyncio.Semaphore(100)

    async def connect_over_limit(number: int) -> asyncio.StreamWriter:
        async with gate:
            _, writer = await asyncio.open_connection(LOOPBACK, node.port)
            client = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
            writer.write(f"PROXY TCP4 {client} 192.0.2.1 40000 443\r\nGET /page HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await writer.drain()
            return writer

    held = await asyncio.gather(*(connect_over_limit(number) for number in range(size)))
    try:
        await asyncio.to_thread(wait_until, lambda: tarpitted(node) == 4_000)
        accepted = [await asyncio.to_thread(get, node, "/wp-content/style.css", "198.51.100.1") for _ in range(20)]
        assert tarpitted(node) == 4_000
        assert {response.status for response in accepted} == {200}
        assert max(response.seconds for response in accepted) < 1
        assert int(node.info()["CurrConns"]) < size - 100  # dropped connections use no resources
    finally:
        for writer in held:
            writer.transport.abort()


def tarpitted(node: Node) -> int:
    (row,) = [line for line in node.run_command("show stat").splitlines() if line.startswith("tarpit,BACKEND")]
    return int(row.split(",")[4])


def direct(node: Node, source: str) -> bool:
    """Whether a client without a balancer gets a response."""
    try:
        with socket.create_connection((LOOPBACK, node.http_port), timeout=1, source_address=(source, 0)) as connection:
            connection.sendall(b"GET /wp-content/style.css HTTP/1.0\r\n\r\n")
            return b" 200 " in connection.recv(300)
    except OSError:
        return False


def wait_until(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.05)
