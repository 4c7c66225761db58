"""Publishing to a real broker: a confirm, or an error within the timeout."""

import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from kombu import Connection, Queue

from cli.embedded.process import Process
from tasks import renders
from tasks.messaging.publisher import BrokerUnavailable, Publisher, PublishError, QueueFull
from tasks.messaging.topology import EXCHANGE, MAINTENANCE, QUEUES, RENDER
from tests.conftest import Broker
from tests.integration.jobs.renders import NEW_QUEUE, celery_app, eventually

pytestmark = pytest.mark.service

TIMEOUT = 1.5

# Seconds by which a call may exceed its timeout.
GRACE = 1.0


@pytest.fixture
def make_publisher() -> Iterator[Callable[[str], Publisher]]:
    """A factory of publishers, which are closed after the test."""
    publishers: list[Publisher] = []

    def make(url: str) -> Publisher:
        publisher = Publisher(celery_app(url), TIMEOUT)
        publishers.append(publisher)
        return publisher

    yield make
    for publisher in publishers:
        publisher.close()


def publish(publisher: Publisher, job: str | None = None) -> str:
    job = job or str(uuid.uuid4())
    message = renders.RenderMessage(job=job, tenant="acme", source=renders.source_key("acme", job))
    publisher.publish(renders.TASK, job, message.model_dump(mode="json"))
    return job


def test_given_a_broker_without_queues_when_messages_are_published_then_all_are_queued(
    broker: Broker, make_publisher: Callable[[str], Publisher]
) -> None:
    publisher = make_publisher(broker.url)

    jobs = [publish(publisher) for _ in range(20)]

    eventually(lambda: publisher.queue_depth(RENDER) == 20)
    assert publisher.queue_depth(MAINTENANCE) == 0
    with Connection(broker.url) as connection:
        queue = QUEUES[0](connection.channel())
        messages = [queue.get(no_ack=True) for _ in jobs]
    assert [message.headers["id"] for message in messages] == jobs
    assert {message.properties["delivery_mode"] for message in messages} == {2}
    assert {(message.content_type, message.content_encoding) for message in messages} == {("application/json", "utf-8")}


def test_given_threads_that_share_a_publisher_then_every_message_arrives_once(
    broker: Broker, make_publisher: Callable[[str], Publisher]
) -> None:
    publisher = make_publisher(broker.url)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _number: publish(publisher), range(200)))

    eventually(lambda: publisher.queue_depth(RENDER) == 200)


def test_given_a_queue_that_was_deleted_then_the_next_message_is_not_lost(
    broker: Broker, make_publisher: Callable[[str], Publisher]
) -> None:
    publisher = make_publisher(broker.url)
    publish(publisher)
    with Connection(broker.url) as connection:
        connection.channel().queue_delete(RENDER)

    publish(publisher)  # unroutable on the old connection, so it is published on a new one, which declares the queue

    eventually(lambda: publisher.queue_depth(RENDER) == 1)


def test_given_a_message_for_a_missing_queue_then_the_error_says_that_it_is_unroutable(
    broker: Broker, make_publisher: Callable[[str], Publisher]
) -> None:
    publisher = make_publisher(broker.url)
    missing = Queue("missing", EXCHANGE, routing_key="missing")

    with pytest.raises(BrokerUnavailable, match="NO_ROUTE"):
        publisher._publish_task(renders.TASK, str(uuid.uuid4()), {}, EXCHANGE, missing, declare=[QUEUES[0]])


def test_given_a_full_queue_then_the_error_says_to_try_later(
    broker: Broker, make_publisher: Callable[[str], Publisher], monkeypatch: pytest.MonkeyPatch
) -> None:
    render: Any = next(queue for queue in QUEUES if queue.name == RENDER)
    monkeypatch.setitem(render.queue_arguments, "x-max-length", 1)
    publisher = make_publisher(broker.url)

    with pytest.raises(QueueFull) as caught:  # noqa: PT012 -- the broker decides how many fit
        for _ in range(10):
            publish(publisher)

    with Connection(broker.url) as connection:
        connection.channel().queue_delete(RENDER)
    assert str(caught.value).startswith(
        "The broker rejected the message: its queue is full, or is still starting. Try again later."
    )


def test_given_a_killed_broker_then_publishing_fails_in_time_and_recovers_when_it_returns(
    broker: Broker, make_publisher: Callable[[str], Publisher]
) -> None:
    publisher = make_publisher(broker.url)
    publish(publisher)
    time.sleep(NEW_QUEUE)
    broker.process.kill()

    for _ in range(3):
        started = time.monotonic()
        with pytest.raises(BrokerUnavailable) as caught:
            publish(publisher)
        assert time.monotonic() - started < TIMEOUT + GRACE
    assert str(caught.value).startswith(
        "The broker does not answer. Check BULKHEAD_BROKER_URL and the server, or run `bulkhead doctor`. ("
    )

    broker.process.start()
    broker.process.wait_ready()
    eventually(lambda: _can_publish(publisher))  # a queue may be available later than its broker
    eventually(lambda: publisher.queue_depth(RENDER) >= 2)  # unconfirmed messages may have been queued as well


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_given_a_broker_that_accepts_and_never_responds_then_publishing_fails_in_time(
    silent_port: int, make_publisher: Callable[[str], Publisher]
) -> None:
    publisher = make_publisher(f"amqp://guest:guest@127.0.0.1:{silent_port}//")

    started = time.monotonic()
    with pytest.raises(BrokerUnavailable):
        publish(publisher)

    assert time.monotonic() - started < TIMEOUT + GRACE


class StallingProxy:
    """A TCP proxy that can stall: it then forwards nothing, and closes no connection."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.port = self._server.getsockname()[1]
        self.is_flowing = threading.Event()
        self.is_flowing.set()
        self.forwarded = 0  # bytes from the broker
        self.stall_after: int | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.is_flowing.set()
        for open_socket in (self._server, *self._sockets):
            shut(open_socket)

    def _accept(self) -> None:
        try:
            while True:
                client, _address = self._server.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [client, server]
                threading.Thread(target=self._pump, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self._pump, args=(server, client, True), daemon=True).start()
        except OSError:
            return

    def _pump(self, source: socket.socket, sink: socket.socket, from_broker: bool) -> None:
        try:
            while data := source.recv(65536):
                if from_broker:
                    if self.stall_after is not None and self.forwarded + len(data) > self.stall_after:
                        self.is_flowing.clear()
                    self.forwarded += len(data)
                self.is_flowing.wait()
                sink.sendall(data)
        except OSError:
            return


def shut(open_socket: socket.socket) -> None:
    """Close a socket that another thread reads."""
    with suppress(OSError):
        open_socket.shutdown(socket.SHUT_RDWR)
    open_socket.close()


@pytest.fixture
def proxy(broker: Broker) -> Iterator[StallingProxy]:
    proxy = StallingProxy(port_of(broker))
    yield proxy
    proxy.close()


def port_of(broker: Broker) -> int:
    return int(urlsplit(broker.url).port or 0)


def through(proxy: StallingProxy, broker: Broker) -> str:
    return broker.url.replace(f":{port_of(broker)}/", f":{proxy.port}/")


def test_given_an_idle_connection_that_stalls_then_every_call_fails_in_time_and_recovers(
    broker: Broker, proxy: StallingProxy, make_publisher: Callable[[str], Publisher]
) -> None:
    publisher = make_publisher(through(proxy, broker))
    calls: list[Callable[[], object]] = [lambda: publish(publisher), lambda: publisher.queue_depth(RENDER)]
    for call in calls:
        call()
        proxy.is_flowing.clear()
        started = time.monotonic()
        with pytest.raises(PublishError):
            call()
        assert time.monotonic() - started < TIMEOUT + GRACE
        proxy.is_flowing.set()
        call()


def test_given_a_broker_that_stalls_at_any_point_then_publishing_fails_in_time(
    broker: Broker, proxy: StallingProxy, make_publisher: Callable[[str], Publisher]
) -> None:
    publish(make_publisher(through(proxy, broker)))
    total = proxy.forwarded

    for stalled_at in range(0, total, max(1, total // 12)):
        publisher = make_publisher(through(proxy, broker))
        proxy.forwarded, proxy.stall_after = 0, stalled_at
        started = time.monotonic()
        with pytest.raises(BrokerUnavailable):
            publish(publisher)
        assert time.monotonic() - started < 2 * TIMEOUT + GRACE, f"stuck after {stalled_at} of {total} bytes"
        proxy.stall_after = None
        proxy.is_flowing.set()


def test_given_a_task_without_a_route_then_publishing_raises_a_key_error(
    make_publisher: Callable[[str], Publisher],
) -> None:
    with pytest.raises(KeyError):
        make_publisher("amqp://127.0.0.1:1//").publish("nothing.known", str(uuid.uuid4()), {})


def test_given_a_suspended_broker_process_then_publishing_fails_in_time_and_recovers(
    broker: Broker, make_publisher: Callable[[str], Publisher]
) -> None:

    publisher = make_publisher(broker.url)
    publish(publisher)
    processes = _process_tree(broker.process)
    for process in processes:
        process.suspend()
    try:
        for _ in range(2):
            started = time.monotonic()
            with pytest.raises(BrokerUnavailable):
                publish(publisher)
            assert time.monotonic() - started < TIMEOUT + GRACE
    finally:
        for process in processes:
            process.resume()
    eventually(lambda: _can_publish(publisher))


def _process_tree(process: Process) -> list[psutil.Process]:
    import psutil

    leader = psutil.Process(process.pid)
    return [leader, *leader.children(recursive=True)]


def _can_publish(publisher: Publisher) -> bool:
    try:
        return bool(publish(publisher))
    except PublishError:
        return False
