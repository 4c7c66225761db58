"""Budgets of the edge, with real HAProxies: five that count together, and single ones with small budgets."""

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
from tests.conftest import without
from tests.services.edge.fleet_edge import STATIC_KBYTES, TOKEN, Answer, Client, Site, get, serving
from tests.services.haproxy import Node

LEARNING = 30.0  # seconds that a new process may take to learn what its fleet knows
PAGES = 50  # requests of ten seconds, as the edge comes
TARPIT = 5.0  # seconds
TICK = 0.01  # seconds by which two clocks may differ
PEER_LAG = 0.02  # seconds between two requests, in which the nodes hear of the first one
TILE = "tiles_files/9/3_2.webp"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    try:
        with serving() as site:
            site.start_fleet()
            yield site
    except NotInstalled as error:
        without(error)


def in_turn(nodes: Sequence[Node], times: int, *addresses: str) -> list[Answer]:
    """Ask for a page so many times, each time from the next node, as the next of `addresses`."""
    answers = []
    for node, address, _ in zip(cycle(nodes), cycle(addresses), range(times), strict=False):
        answers.append(get(node, "/page", address))
        time.sleep(PEER_LAG)
    return answers


def in_turn_while_linked(nodes: Sequence[Node], times: int, network: str) -> list[Answer]:
    """The same from clients of `network`, one after another, until no two nodes hung up on each other meanwhile.

    HAProxy's peers do that, for seconds after one was started or reloaded, and count alone until they call again.
    """

    def links() -> list[dict[int, str]]:
        return [{peer.number: link for peer in nodes if (link := node.links().get(peer.number))} for node in nodes]

    for host in range(1, 20):
        until(lambda: all(len(each) == len(nodes) - 1 for each in links()), LEARNING)
        before = links()
        answers = in_turn(nodes, times, f"{network}.{host}")
        if links() == before:
            return answers
    pytest.fail("the nodes did not stay connected for as long as it takes to ask")


def statuses(answers: Sequence[Answer]) -> Counter[int]:
    return Counter(answer.status for answer in answers)


def assert_the_51st_waits(answers: Sequence[Answer]) -> None:
    assert statuses(answers) == {200: PAGES, 429: 1}
    assert answers[-1].status == 429
    assert TARPIT - TICK <= answers[-1].seconds < TARPIT + 1
    assert answers[-1].headers["retry-after"] == "10"


def test_given_five_nodes_in_turn_when_a_client_asks_for_51_pages_then_the_51st_waits_and_is_a_429(site: Site) -> None:
    assert_the_51st_waits(in_turn_while_linked(site.nodes, 51, "203.0.113"))
    assert get(site.nodes[0], "/page", "198.51.100.2").status == 200


def test_given_two_addresses_of_one_64_when_they_ask_then_they_share_a_budget_and_the_next_64_has_its_own(
    site: Site,
) -> None:
    node = site.node("neighbours", PAGES="10", TARPIT="200ms")
    assert statuses(in_turn([node], 11, "2001:db8:1:2::1", "2001:db8:1:2:ffff::9")) == {200: 10, 429: 1}
    assert get(node, "/page", "2001:db8:1:3::1").status == 200


def test_given_a_burst_on_all_nodes_at_once_then_it_passes_by_no_more_than_peers_lag_behind(site: Site) -> None:
    burst = 300  # more than the nodes let pass if they never heard of each other
    with ThreadPoolExecutor(burst) as threads:
        answers = list(threads.map(lambda number: get(site.nodes[number % 5], "/page", "198.51.100.3"), range(burst)))
    passed = statuses(answers)
    print(f"a burst of {burst} at once over five nodes: {passed[200]} passed, {passed[429]} waited")
    assert set(passed) == {200, 429}
    assert PAGES <= passed[200] <= len(site.nodes) * PAGES


def test_given_a_viewer_when_it_loads_300_tiles_then_none_waits(site: Site) -> None:
    viewer = {"authorization": f"Bearer {TOKEN}"}
    tile = f"/renders/{site.put_render(TILE)}/{TILE}"
    with ThreadPoolExecutor(6) as connections:  # as many as a browser opens
        answers = list(
            connections.map(lambda number: get(site.nodes[number % 5], tile, "198.51.100.4", viewer), range(300))
        )
    assert statuses(answers) == {200: 300}
    assert {answer.body for answer in answers} == {b"RIFF tile"}


def test_given_who_has_signed_in_then_the_session_has_a_budget_of_its_own_on_every_node(site: Site) -> None:
    assert get(site.nodes[0], "/wp-login.php?session=session-of-ann-0001", "198.51.100.5").body == b"welcome"
    until(lambda: "used:0" not in site.nodes[4].ask("show table fleet/sessions"))
    ann = {"cookie": "wordpress_logged_in=session-of-ann-0001"}

    own = [get(site.nodes[number % 5], "/page", "198.51.100.5", ann) for number in range(3 * PAGES)]

    assert statuses(own) == {200: 3 * PAGES}
    assert "of-ann" not in site.nodes[0].ask("show table fleet/sessions")


def test_given_a_cookie_or_token_that_nobody_has_given_then_it_is_worth_nothing(site: Site) -> None:
    node = site.node("invented", PAGES="10", API="10", TARPIT="100ms")
    cookies = [get(node, "/page", "198.51.100.6", {"cookie": f"wordpress_logged_in={n}"}) for n in range(15)]
    tokens = [get(node, "/renders", "198.51.100.6", {"authorization": f"Bearer {n}"}) for n in range(15)]

    assert statuses(cookies) == {200: 10, 429: 5}
    assert statuses(tokens) == {401: 10, 429: 5}


def test_given_a_node_that_is_reloaded_when_a_client_goes_on_then_nothing_is_forgotten(site: Site) -> None:
    until(site.nodes[0].has_learnt, LEARNING)  # else it has nothing to hand on
    before = in_turn(site.nodes[:1], 30, "198.51.100.7")
    site.nodes[0].reload()
    until(lambda: "198.51.100.7" in site.nodes[0].ask("show table fleet/seen1"))  # the old process teaches the new one
    assert_the_51st_waits([*before, *in_turn(site.nodes[:1], 21, "198.51.100.7")])


def test_given_a_dead_node_when_a_client_asks_the_others_then_they_count_on(site: Site) -> None:
    site.nodes[4].process.kill()
    assert_the_51st_waits(in_turn_while_linked(site.nodes[:4], 51, "192.0.2"))


def test_given_a_byte_hog_then_its_download_is_slow_and_its_next_one_waits_but_nobody_elses(site: Site) -> None:
    node = site.node("bytes", BYTES="4000000", TARPIT="500ms")
    first = get(node, "/big.zip", "198.51.100.1")
    until(lambda: re.search(r"198\.51\.100\.1 .*bytes_out_rate\(60000\)=\d{8}", node.ask("show table fleet/seen1")))
    second = get(node, "/big.zip", "198.51.100.1")  # counted: HAProxy does that once it is done with an answer

    assert first.status == 200
    assert len(first.body) == 24 << 20
    assert first.seconds > (len(first.body) >> 10) / STATIC_KBYTES - 1.1  # lighttpd counts by the whole second
    assert second.status == 429
    assert get(node, "/wp-content/style.css", "198.51.100.2").status == 200


def test_given_a_scraper_with_many_addresses_when_it_wants_one_drawing_then_strangers_wait_and_the_viewer_does_not(
    site: Site,
) -> None:
    node = site.node("drawing", DRAWING="30", TARPIT="200ms")
    viewer = {"authorization": f"Bearer {TOKEN}"}
    drawing, another = (f"/renders/{site.put_render(TILE)}/{TILE}" for _ in range(2))
    assert get(node, "/renders", "198.51.100.1", viewer).status == 200  # from now on the edge knows the session

    scraped = [get(node, drawing, f"203.0.113.{number}") for number in range(40)]
    other = get(node, another, "203.0.113.99")

    assert statuses(scraped) == {401: 30, 429: 10}
    assert other.status == 401
    assert get(node, drawing, "198.51.100.1", viewer).status == 200


def test_given_a_client_with_too_many_connections_then_the_next_one_is_refused_and_others_are_not(site: Site) -> None:
    node = site.node("connections", CONNECTIONS="10")
    held = [Client(node, "198.51.100.1") for _ in range(10)]
    for client in held:
        client.request("GET", "/wp-content/style.css")
        assert client.getresponse().read()
    with pytest.raises(OSError, match=r"reset|closed|Remote end"):
        get(node, "/wp-content/style.css", "198.51.100.1")
    assert get(node, "/wp-content/style.css", "198.51.100.2").status == 200
    for client in held:
        client.close()


def test_given_a_flood_of_strangers_then_who_was_here_before_gets_in_and_most_of_them_do_not(site: Site) -> None:
    node = site.node("strangers", HANDSHAKES="20")
    assert direct(node, "127.0.0.2")
    with ThreadPoolExecutor(60) as threads:
        flood = list(threads.map(lambda number: direct(node, f"127.0.1.{number}"), range(1, 61)))
        assert direct(node, "127.0.0.2")
    assert 0 < sum(flood) <= 40  # a flood that lasts longer than a second meets a fresh budget


def test_given_4000_who_wait_when_a_good_client_comes_then_it_is_served_and_those_beyond_vanish(site: Site) -> None:
    node = site.node("crowd", PAGES="0", TARPIT="20s", TARPITS="4000")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192) if hard > 0 else 8192, hard))
    try:
        asyncio.run(crowd(node, 4_200))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def crowd(node: Node, size: int) -> None:
    """Open `size` connections of as many clients that are over their budget, and be a good client meanwhile."""
    gate = asyncio.Semaphore(100)

    async def offend(number: int) -> asyncio.StreamWriter:
        async with gate:
            _, writer = await asyncio.open_connection(LOOPBACK, node.port)
            client = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
            writer.write(f"PROXY TCP4 {client} 192.0.2.1 40000 443\r\nGET /page HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await writer.drain()
            return writer

    held = await asyncio.gather(*(offend(number) for number in range(size)))
    try:
        await asyncio.to_thread(until, lambda: waiting(node) == 4_000)
        good = [await asyncio.to_thread(get, node, "/wp-content/style.css", "198.51.100.1") for _ in range(20)]
        assert waiting(node) == 4_000
        assert {answer.status for answer in good} == {200}
        assert max(answer.seconds for answer in good) < 1
        assert int(node.info()["CurrConns"]) < size - 100  # those beyond hold nothing
    finally:
        for writer in held:
            writer.transport.abort()


def waiting(node: Node) -> int:
    (row,) = [line for line in node.ask("show stat").splitlines() if line.startswith("tarpit,BACKEND")]
    return int(row.split(",")[4])


def direct(node: Node, source: str) -> bool:
    """Whether a client that comes without a balancer is answered."""
    try:
        with socket.create_connection((LOOPBACK, node.http_port), timeout=1, source_address=(source, 0)) as line:
            line.sendall(b"GET /wp-content/style.css HTTP/1.0\r\n\r\n")
            return b" 200 " in line.recv(300)
    except OSError:
        return False


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to this in time"
        time.sleep(0.05)
