"""Publishing for real: confirmed, or an error in time."""

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
from kombu import Connection

from cli.embedded.process import Process
from tasks import renders
from tasks.messaging.publisher import BrokerUnavailable, Publisher, PublishError, QueueFull
from tasks.messaging.topology import MAINTENANCE, QUEUES, RENDER
from tests.conftest import Broker
from tests.integration.jobs.renders import NEW_QUEUE, celery_app, eventually

pytestmark = pytest.mark.service

TIMEOUT = 1.5

# Beyond its time-out a call may need a moment to give up.
GRACE = 1.0


@pytest.fixture
def make_publisher() -> Iterator[Callable[[str], Publisher]]:
    """Makes publishers, and closes them after the test."""
    made: list[Publisher] = []

    def make(url: str) -> Publisher:
        publisher = Publisher(celery_app(url), TIMEOUT)
        made.append(publisher)
        return publisher

    yield make
    for publisher in made:
        publisher.close()


def publish(publisher: Publisher, job: str | None = None) -> str:
    job = job or str(uuid.uuid4())
    message = renders.RenderMessage(job=job, tenant="acme", source=renders.source_key("acme", job))
    publisher.publish(renders.TASK, job, message.model_dump(mode="json"))
    return job


def test_given_a_broker_without_queues_when_messages_are_published_then_all_wait_in_their_queue(
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


def test_given_a_queue_that_is_deleted_under_a_line_then_the_message_is_not_taken_for_sent(
    broker: Broker, make_publisher: Callable[[str], Publisher]
) -> None:
    publisher = make_publisher(broker.url)
    publish(publisher)
    with Connection(broker.url) as connection:
        connection.channel().queue_delete(RENDER)

    publish(publisher)  # unroutable on the old line, so it is sent again on a new one, which declares the queue

    eventually(lambda: publisher.queue_depth(RENDER) == 1)


def test_given_a_message_for_a_queue_that_does_not_exist_then_it_is_unroutable_and_an_error_says_so(
    broker: Broker, make_publisher: Callable[[str], Publisher], monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = make_publisher(broker.url)
    monkeypatch.setitem(publisher._app.conf, "task_routes", {"render.*": {"exchange": "bulkhead", "routing_key": "x"}})

    with pytest.raises(BrokerUnavailable, match="NO_ROUTE"):
        publish(publisher)


def test_given_a_full_queue_then_the_error_says_try_later(
    broker: Broker, make_publisher: Callable[[str], Publisher]
) -> None:
    with Connection(broker.url) as connection:
        full: Any = QUEUES[0](connection.channel())
        full.queue_arguments = {**full.queue_arguments, "x-max-length": 1}
        full.declare()
        publisher = make_publisher(broker.url)
        publisher._app.amqp.queues[RENDER].queue_arguments["x-max-length"] = 1
        try:
            with pytest.raises(QueueFull) as caught:  # noqa: PT012 -- how many fit is the broker's affair
                for _ in range(10):
                    publish(publisher)
        finally:
            del publisher._app.amqp.queues[RENDER].queue_arguments["x-max-length"]
            full.delete()
    assert str(caught.value).startswith(
        "The broker refused the message: its queue is full, or not up yet after a restart. Try again later."
    )


def test_given_a_broker_that_is_killed_then_publishing_fails_in_time_and_recovers_when_it_is_back(
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
    eventually(lambda: _publishes(publisher))  # a queue may need a moment longer than its broker
    eventually(lambda: publisher.queue_depth(RENDER) >= 2)  # what was not confirmed may have been taken all the same


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where somebody accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_given_a_broker_that_accepts_and_never_answers_then_publishing_fails_in_time(
    silent_port: int, make_publisher: Callable[[str], Publisher]
) -> None:
    publisher = make_publisher(f"amqp://guest:guest@127.0.0.1:{silent_port}//")

    started = time.monotonic()
    with pytest.raises(BrokerUnavailable):
        publish(publisher)

    assert time.monotonic() - started < TIMEOUT + GRACE


class Hose:
    """A TCP proxy that can be pinched: what is sent through it then goes nowhere, and no connection is closed."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.port = self._server.getsockname()[1]
        self.flows = threading.Event()
        self.flows.set()
        self.passed = 0  # bytes from the broker
        self.pinch_after: int | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.flows.set()
        for open_socket in (self._server, *self._sockets):
            shut(open_socket)

    def _accept(self) -> None:
        try:
            while True:
                near, _address = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [near, far]
                threading.Thread(target=self._pump, args=(near, far, False), daemon=True).start()
                threading.Thread(target=self._pump, args=(far, near, True), daemon=True).start()
        except OSError:
            return

    def _pump(self, source: socket.socket, sink: socket.socket, from_broker: bool) -> None:
        try:
            while data := source.recv(65536):
                if from_broker:
                    if self.pinch_after is not None and self.passed + len(data) > self.pinch_after:
                        self.flows.clear()
                    self.passed += len(data)
                self.flows.wait()
                sink.sendall(data)
        except OSError:
            return


def shut(open_socket: socket.socket) -> None:
    """Close a socket under the thread that reads it."""
    with suppress(OSError):
        open_socket.shutdown(socket.SHUT_RDWR)
    open_socket.close()


@pytest.fixture
def hose(broker: Broker) -> Iterator[Hose]:
    hose = Hose(port_of(broker))
    yield hose
    hose.close()


def port_of(broker: Broker) -> int:
    return int(urlsplit(broker.url).port or 0)


def through(hose: Hose, broker: Broker) -> str:
    return broker.url.replace(f":{port_of(broker)}/", f":{hose.port}/")


def test_given_a_line_that_gets_stuck_while_idle_then_every_call_fails_in_time_and_recovers(
    broker: Broker, hose: Hose, make_publisher: Callable[[str], Publisher]
) -> None:
    publisher = make_publisher(through(hose, broker))
    calls: list[Callable[[], object]] = [lambda: publish(publisher), lambda: publisher.queue_depth(RENDER)]
    for call in calls:
        call()
        hose.flows.clear()
        started = time.monotonic()
        with pytest.raises(PublishError):
            call()
        assert time.monotonic() - started < TIMEOUT + GRACE
        hose.flows.set()
        call()


def test_given_a_broker_that_gets_stuck_anywhere_in_the_conversation_then_publishing_fails_in_time(
    broker: Broker, hose: Hose, make_publisher: Callable[[str], Publisher]
) -> None:
    publish(make_publisher(through(hose, broker)))
    whole = hose.passed

    for pinched in range(0, whole, max(1, whole // 12)):
        publisher = make_publisher(through(hose, broker))
        hose.passed, hose.pinch_after = 0, pinched
        started = time.monotonic()
        with pytest.raises(BrokerUnavailable):
            publish(publisher)
        assert time.monotonic() - started < 2 * TIMEOUT + GRACE, f"stuck after {pinched} of {whole} bytes"
        hose.pinch_after = None
        hose.flows.set()


def test_given_a_task_without_a_route_then_publishing_it_is_a_mistake_of_the_caller(
    make_publisher: Callable[[str], Publisher],
) -> None:
    with pytest.raises(KeyError):
        make_publisher("amqp://127.0.0.1:1//").publish("nothing.known", str(uuid.uuid4()), {})


def test_given_a_broker_process_that_is_frozen_then_publishing_fails_in_time_and_recovers_when_it_thaws(
    broker: Broker, make_publisher: Callable[[str], Publisher]
) -> None:

    publisher = make_publisher(broker.url)
    publish(publisher)
    family = _family(broker.process)
    for process in family:
        process.suspend()
    try:
        for _ in range(2):
            started = time.monotonic()
            with pytest.raises(BrokerUnavailable):
                publish(publisher)
            assert time.monotonic() - started < TIMEOUT + GRACE
    finally:
        for process in family:
            process.resume()
    eventually(lambda: _publishes(publisher))


def _family(process: Process) -> list[psutil.Process]:
    import psutil

    leader = psutil.Process(process.pid)
    return [leader, *leader.children(recursive=True)]


def _publishes(publisher: Publisher) -> bool:
    try:
        return bool(publish(publisher))
    except PublishError:
        return False
