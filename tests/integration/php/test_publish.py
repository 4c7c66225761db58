"""Publishing from PHP with a real broker: confirmed, or an exception in time that says what to do."""

import io
import json
import os
import socket
import subprocess
import threading
import time
from contextlib import suppress
from typing import Any

import ezdxf
import pytest
from celery import Celery
from kombu import Connection, Message

from cli.embedded.process import NotInstalled
from tasks import renders
from tasks.heartbeats import declare_stream, parse
from tasks.jobs import State
from tasks.messaging.publisher import Publisher
from tasks.messaging.topology import EXCHANGE, HEARTBEATS, QUEUES, RENDER, TILES, work_queue
from tests.conftest import Broker, skip_or_fail
from tests.contract import vectors
from tests.integration.jobs.renders import NEW_QUEUE, Renders, celery_app, eventually
from tests.services.edge import php
from tests.services.platform import Platform
from workers.heartbeats.sources.amqp import AmqpSource

pytestmark = pytest.mark.service

TIMEOUT = 1.5

# A user gets a response within two seconds.
MAX_SECONDS = 2.0


@pytest.fixture(autouse=True)
def installed() -> None:
    try:
        php.find_php()
    except NotInstalled as error:
        skip_or_fail(error)


@pytest.fixture
def queues(broker: Broker) -> None:
    """The queues that PHP publishes to, as workers declare them."""
    with Connection(broker.url) as connection, connection.channel() as channel:
        for queue in (work_queue(RENDER), work_queue(TILES)):
            queue(channel).declare()
    time.sleep(NEW_QUEUE)


def publish(url: str, *requests: dict[str, Any], timeout: float = TIMEOUT, tries: int = 1) -> list[dict[str, Any]]:
    """Submit requests from PHP and return the result of each."""
    request_lines = requests or ({"tenant": "acme"},)
    return php.run_script("publish.php", url, str(timeout), str(tries), requests=request_lines)


def received(broker: Broker, queue: str) -> list[Message]:
    """Get all messages from a queue."""
    with Connection(broker.url) as connection, connection.channel() as channel:
        bound = next(each for each in QUEUES if each.name == queue)(channel)
        return list(iter(lambda: bound.get(no_ack=True), None))


def comparable(message: Message) -> dict[str, Any]:
    """A received message without the fields that depend on the publisher."""
    own = (*vectors.PUBLISHER_PROPERTIES, "application_headers")  # duplicates the headers
    properties = {name: value for name, value in message.properties.items() if name not in own}
    properties |= {"content_type": message.content_type, "content_encoding": message.content_encoding}
    own = (*vectors.PUBLISHER_HEADERS, "x-delivery-count")  # set by the queue
    headers = {name: value for name, value in message.headers.items() if name not in own}
    return {"properties": properties, "headers": headers, "body": json.loads(message.body)}


@pytest.mark.usefixtures("queues")
def test_given_two_hundred_requests_then_php_python_and_stock_celery_publish_identical_messages(
    broker: Broker,
) -> None:
    golden = json.loads((vectors.FOLDER / "renders.json").read_text())
    results = publish(broker.url, *(vector["request"] for vector in golden))
    assert all(each["published"] for each in results)
    by_php = received(broker, RENDER)

    publisher = Publisher(celery_app(broker.url), 5)
    stock = Celery("stock", broker=broker.url, set_as_current=False)
    for vector in golden[:20]:
        request = renders.RenderMessage.model_validate(vector["request"])
        publisher.publish(renders.TASK, request.job, request.model_dump(mode="json", exclude_unset=True))
        stock.send_task(
            renders.TASK,
            kwargs=vector["request"],
            task_id=request.job,
            ignore_result=True,
            exchange=EXCHANGE,
            routing_key=RENDER,
        )
    publisher.close()
    stock.close()
    by_python = received(broker, RENDER)

    parts = ("properties", "headers", "body")
    expected = {vector["request"]["job"]: {part: vector[part] for part in parts} for vector in golden}
    assert {message.headers["id"] for message in by_php} == set(expected)
    assert (len(by_php), len(by_python)) == (200, 40)
    for message in by_php + by_python:
        assert comparable(message) == expected[message.headers["id"]]


@pytest.mark.timeout(400)
def test_given_two_hundred_requests_from_php_then_a_worker_renders_all_of_them(platform: Platform) -> None:
    sent = Renders(platform)
    platform.start_worker()
    requests = vectors.requests()
    drawing = layered_drawing()
    for request in requests:
        sent.store.put(request["source"], drawing)

    results = publish(platform.broker_url, *requests, timeout=5)
    jobs = [sent.finished(each["job"], 300) for each in results]

    assert {job.state for job in jobs} == {State.SUCCEEDED}, [job.error for job in jobs if job.error][:3]
    assert len({job.id for job in jobs}) == 200
    for job, request in zip(jobs, requests, strict=True):
        chosen = renders.RenderOptions(**request["options"])
        assert (job.filename, job.tenant, job.traceparent) == (
            request["filename"],
            request["tenant"],
            request["traceparent"],
        )
        assert renders.RenderOptions.model_validate(job.options) == chosen
    sent.close()


def layered_drawing() -> bytes:
    """A drawing with a line in each layer of the test vectors."""
    document = ezdxf.new("R2018")  # type: ignore[attr-defined]
    for number, name in enumerate(vectors.LAYERS):
        if name != "0":
            document.layers.add(name)
        document.modelspace().add_line((0, 10 * number), (100, 90 - 10 * number), dxfattribs={"layer": name})
    text = io.StringIO()
    document.write(text)
    return text.getvalue().encode()


@pytest.mark.usefixtures("queues")
def test_given_a_missing_queue_then_php_throws_unroutable_and_says_what_to_do(broker: Broker) -> None:
    with Connection(broker.url) as connection:
        connection.channel().queue_delete(TILES)

    rejected, accepted = publish(
        broker.url, {"tenant": "acme", "options": {"tiles": True}}, {"tenant": "acme", "options": {}}
    )

    assert rejected["error"] == "Unroutable"
    assert rejected["message"] == (
        "The broker has no queue for 'render.tiles' and returned the message. Workers declare the queues: start a "
        "worker, and check that the URL names the same broker and virtual host as the workers use. (312 NO_ROUTE)"
    )
    assert accepted["published"]  # on the same connection
    assert len(received(broker, RENDER)) == 1


def test_given_a_full_queue_then_php_throws_queue_full(broker: Broker) -> None:
    with Connection(broker.url) as connection:
        full: Any = QUEUES[0](connection.channel())
        full.queue_arguments = {**full.queue_arguments, "x-max-length": 1}
        full.declare()
        time.sleep(NEW_QUEUE)

        results = publish(broker.url, *[{"tenant": "acme"}] * 10)
        full.delete()

    rejected = [each for each in results if not each["published"]]
    assert rejected
    assert {each["error"] for each in rejected} == {"QueueFull"}
    assert rejected[0]["message"] == (
        "The queue 'render' rejected the message: it is full, or not yet available after a restart. Submit the same "
        "object again later."
    )


@pytest.mark.usefixtures("queues")
def test_given_an_alarm_of_the_broker_then_php_throws_in_time_and_recovers_when_it_ends(broker: Broker) -> None:
    process = php.start_script("publish.php", broker.url, str(TIMEOUT), "1")
    assert submit(process)["published"]
    try:
        set_watermark(broker, 0)
        results = [submit(process) for _ in range(3)]
    finally:
        set_watermark(broker, 0.6)

    assert {each["error"] for each in results} == {"NotConfirmed"}
    assert results[0]["message"].startswith(
        "The broker did not confirm the message in time and may have it. Submit the same object again: its id is "
        "unchanged, so the job runs only once. ("
    )
    assert max(seconds for each in results for seconds in each["seconds"]) < MAX_SECONDS
    assert eventually(lambda: submit(process)["published"])
    wait_for_exit(process)


def test_given_an_unresponsive_broker_then_php_throws_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        (result,) = publish(f"amqp://guest:guest@127.0.0.1:{server.getsockname()[1]}//")

    assert result["error"] == "BrokerUnavailable"
    assert result["seconds"][0] < MAX_SECONDS


def test_given_an_amqps_url_then_nothing_is_sent_in_clear_text() -> None:
    received_bytes = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            with suppress(OSError):
                connection, _address = server.accept()
                received_bytes.extend(connection.recv(1024))
                connection.close()

        thread = threading.Thread(target=listen)
        thread.start()
        (result,) = publish(f"amqps://guest:guest@127.0.0.1:{server.getsockname()[1]}//")
        thread.join()

    assert result["error"] == "BrokerUnavailable"
    assert received_bytes[:2] == bytes([22, 3])  # a TLS handshake, RFC 8446


@pytest.mark.usefixtures("queues")
def test_given_a_cluster_when_one_broker_is_down_then_php_uses_the_other(broker: Broker) -> None:
    (result,) = publish(f"amqp://guest:guest@127.0.0.1:1//;{broker.url}")

    assert result["published"]


def test_given_beats_from_php_then_the_stream_contains_them(broker: Broker) -> None:
    with Connection(broker.url) as connection:
        connection.channel().queue_delete(HEARTBEATS)
        declare_stream(connection)
    beats = [{"machine": "press-1", "seq": seq, "seenAt": 1.7e9 + seq, "status": "idle", "rpm": 0.1} for seq in (1, 2)]

    assert php.run_script("heartbeats.php", broker.url, "ulm", requests=[{"beats": beats}, {"beats": beats[:1]}]) == [3]

    messages = [parse(body) for body in stream(broker)]
    assert [(beat.machine, beat.seq, beat.seen_at, beat.rpm) for message in messages for beat in message.beats] == [
        ("press-1", 1, 1.7e9 + 1, 0.1),
        ("press-1", 2, 1.7e9 + 2, 0.1),
        ("press-1", 1, 1.7e9 + 1, 0.1),
    ]
    assert {message.plant for message in messages} == {"ulm"}


def stream(broker: Broker) -> list[bytes]:
    """The bodies of two messages from the stream."""
    source = AmqpSource(celery_app(broker.url))
    source.open({})
    bodies: list[bytes] = []
    try:
        while len(bodies) < 2:
            batch = source.poll(5)
            assert batch
            bodies += batch.bodies
    finally:
        source.close()
    return bodies


CTL = "/usr/lib/rabbitmq/bin/rabbitmqctl"


def set_watermark(broker: Broker, fraction: float) -> None:
    """Set the memory watermark of the broker; zero raises the alarm immediately."""
    environment = {**os.environ, **broker.process.program.environment}
    command = [CTL, "set_vm_memory_high_watermark", str(fraction)]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)


def submit(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Submit a render to a running script and return the result."""
    assert process.stdin
    assert process.stdout
    process.stdin.write('{"tenant": "acme"}\n')
    process.stdin.flush()
    result: dict[str, Any] = json.loads(process.stdout.readline())
    return result


def wait_for_exit(process: "subprocess.Popen[str]") -> None:
    """Wait until a script has ended."""
    process.communicate(timeout=10)
    assert process.returncode == 0


@pytest.mark.usefixtures("queues")
def test_given_a_killed_broker_then_php_throws_in_time_and_recovers_when_it_returns(broker: Broker) -> None:
    process = php.start_script("publish.php", broker.url, str(TIMEOUT), "1")
    assert submit(process)["published"]
    broker.process.kill()

    results = [submit(process) for _ in range(3)]

    # The first message was sent on an open connection: the broker may have received it.
    assert {each["error"] for each in results} <= {"BrokerUnavailable", "NotConfirmed"}
    assert results[-1]["error"] == "BrokerUnavailable"
    assert results[-1]["message"].startswith(
        "The broker is unreachable; nothing was published. Check its URL and that RabbitMQ is running (`bulkhead "
        "doctor`), then submit the same object again. ("
    )
    assert max(seconds for each in results for seconds in each["seconds"]) < MAX_SECONDS
    broker.process.start()
    broker.process.wait_ready()
    assert eventually(lambda: submit(process)["published"])
    wait_for_exit(process)
