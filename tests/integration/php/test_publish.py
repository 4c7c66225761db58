"""PHP publishes for real: confirmed, or an exception in time that says what to do."""

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
from tests.conftest import Broker, without
from tests.contract import vectors
from tests.integration.jobs.renders import NEW_QUEUE, Renders, celery_app, eventually
from tests.services.edge import php
from tests.services.platform import Platform
from workers.heartbeats.sources.amqp import AmqpSource

pytestmark = pytest.mark.service

TIMEOUT = 1.5

# A person is told within two seconds.
IN_TIME = 2.0


@pytest.fixture(autouse=True)
def installed() -> None:
    try:
        php.php()
    except NotInstalled as error:
        without(error)


@pytest.fixture
def queues(broker: Broker) -> None:
    """The queues that PHP publishes to, as workers make them."""
    with Connection(broker.url) as connection, connection.channel() as channel:
        for queue in (work_queue(RENDER), work_queue(TILES)):
            queue(channel).declare()
    time.sleep(NEW_QUEUE)


def publish(url: str, *requests: dict[str, Any], timeout: float = TIMEOUT, tries: int = 1) -> list[dict[str, Any]]:
    """What PHP says of each request."""
    asked = requests or ({"tenant": "acme"},)
    return php.run("publish.php", url, str(timeout), str(tries), say=asked)


def received(broker: Broker, queue: str) -> list[Message]:
    """Everything that lies in a queue."""
    with Connection(broker.url) as connection, connection.channel() as channel:
        bound = next(each for each in QUEUES if each.name == queue)(channel)
        return list(iter(lambda: bound.get(no_ack=True), None))


def comparable(message: Message) -> dict[str, Any]:
    """A message as it came over the wire, without what is a publisher's own."""
    own = (*vectors.OWN_PROPERTIES, "application_headers")  # the same as headers
    properties = {name: value for name, value in message.properties.items() if name not in own}
    properties |= {"content_type": message.content_type, "content_encoding": message.content_encoding}
    own = (*vectors.OWN_HEADERS, "x-delivery-count")  # the queue's
    headers = {name: value for name, value in message.headers.items() if name not in own}
    return {"properties": properties, "headers": headers, "body": json.loads(message.body)}


@pytest.mark.usefixtures("queues")
def test_given_two_hundred_requests_then_php_our_client_and_stock_celery_put_the_same_on_the_wire(
    broker: Broker,
) -> None:
    golden = json.loads((vectors.FOLDER / "renders.json").read_text())
    said = publish(broker.url, *(vector["request"] for vector in golden))
    assert all(each["published"] for each in said)
    by_php = received(broker, RENDER)

    publisher = Publisher(celery_app(broker.url), 5)
    stock = Celery("stock", broker=broker.url, set_as_current=False)
    for vector in golden[:20]:
        asked = renders.RenderMessage.model_validate(vector["request"])
        publisher.publish(renders.TASK, asked.job, asked.model_dump(mode="json", exclude_unset=True))
        stock.send_task(
            renders.TASK,
            kwargs=vector["request"],
            task_id=asked.job,
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
def test_given_two_hundred_requests_of_php_then_a_real_worker_renders_every_one(platform: Platform) -> None:
    sent = Renders(platform)
    platform.start_worker()
    golden = vectors.requests()
    drawing = layered_drawing()
    for request in golden:
        sent.store.put(request["source"], drawing)

    said = publish(platform.broker_url, *golden, timeout=5)
    jobs = [sent.finished(each["job"], 300) for each in said]

    assert {job.state for job in jobs} == {State.SUCCEEDED}, [job.error for job in jobs if job.error][:3]
    assert len({job.id for job in jobs}) == 200
    for job, request in zip(jobs, golden, strict=True):
        chosen = renders.RenderOptions(**request["options"])
        assert (job.filename, job.tenant, job.traceparent) == (
            request["filename"],
            request["tenant"],
            request["traceparent"],
        )
        assert renders.RenderOptions.model_validate(job.options) == chosen
    sent.close()


def layered_drawing() -> bytes:
    """A drawing with a line in each of the layers that the vectors name."""
    document = ezdxf.new("R2018")  # type: ignore[attr-defined]
    for number, name in enumerate(vectors.LAYERS):
        if name != "0":
            document.layers.add(name)
        document.modelspace().add_line((0, 10 * number), (100, 90 - 10 * number), dxfattribs={"layer": name})
    text = io.StringIO()
    document.write(text)
    return text.getvalue().encode()


@pytest.mark.usefixtures("queues")
def test_given_a_queue_that_nobody_made_then_php_says_unroutable_and_what_to_do(broker: Broker) -> None:
    with Connection(broker.url) as connection:
        connection.channel().queue_delete(TILES)

    refused, taken = publish(
        broker.url, {"tenant": "acme", "options": {"tiles": True}}, {"tenant": "acme", "options": {}}
    )

    assert refused["error"] == "Unroutable"
    assert refused["said"] == (
        "No queue of the broker takes 'render.tiles': the message was given back. Workers make the queues: start them "
        "once, and check that the URL names the same broker and virtual host as theirs. (312 NO_ROUTE)"
    )
    assert taken["published"]  # the same line goes on
    assert len(received(broker, RENDER)) == 1


def test_given_a_full_queue_then_php_says_try_later(broker: Broker) -> None:
    with Connection(broker.url) as connection:
        full: Any = QUEUES[0](connection.channel())
        full.queue_arguments = {**full.queue_arguments, "x-max-length": 1}
        full.declare()
        time.sleep(NEW_QUEUE)

        said = publish(broker.url, *[{"tenant": "acme"}] * 10)
        full.delete()

    refused = [each for each in said if not each["published"]]
    assert refused
    assert {each["error"] for each in refused} == {"QueueFull"}
    assert refused[0]["said"] == (
        "The queue 'render' refused the message: it is full, or not up yet after a restart. Send the same object again "
        "later."
    )


@pytest.mark.usefixtures("queues")
def test_given_an_alarm_of_the_broker_then_php_is_told_in_time_and_goes_on_when_it_is_over(broker: Broker) -> None:
    process = php.start("publish.php", broker.url, str(TIMEOUT), "1")
    assert ask(process)["published"]
    try:
        set_watermark(broker, 0)
        answers = [ask(process) for _ in range(3)]
    finally:
        set_watermark(broker, 0.6)

    assert {each["error"] for each in answers} == {"NotConfirmed"}
    assert answers[0]["said"].startswith(
        "The broker did not confirm the message in time; it may have it. Send the same object again: it keeps its id, "
        "so it is never done twice. ("
    )
    assert max(seconds for each in answers for seconds in each["seconds"]) < IN_TIME
    assert eventually(lambda: ask(process)["published"])
    end(process)


def test_given_a_broker_that_accepts_and_never_answers_then_php_is_told_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        (said,) = publish(f"amqp://guest:guest@127.0.0.1:{server.getsockname()[1]}//")

    assert said["error"] == "BrokerUnavailable"
    assert said["seconds"][0] < IN_TIME


def test_given_an_amqps_url_then_not_a_byte_is_sent_in_clear_text() -> None:
    heard = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            with suppress(OSError):
                connection, _address = server.accept()
                heard.extend(connection.recv(1024))
                connection.close()

        thread = threading.Thread(target=listen)
        thread.start()
        (said,) = publish(f"amqps://guest:guest@127.0.0.1:{server.getsockname()[1]}//")
        thread.join()

    assert said["error"] == "BrokerUnavailable"
    assert heard[:2] == bytes([22, 3])  # a TLS handshake, RFC 8446


@pytest.mark.usefixtures("queues")
def test_given_a_broker_of_a_cluster_that_is_down_then_the_other_one_is_asked(broker: Broker) -> None:
    (said,) = publish(f"amqp://guest:guest@127.0.0.1:1//;{broker.url}")

    assert said["published"]


def test_given_beats_of_php_then_they_lie_in_the_stream_as_the_coalescer_reads_them(broker: Broker) -> None:
    with Connection(broker.url) as connection:
        connection.channel().queue_delete(HEARTBEATS)
        declare_stream(connection)
    beats = [{"machine": "press-1", "seq": seq, "seenAt": 1.7e9 + seq, "status": "idle", "rpm": 0.1} for seq in (1, 2)]

    assert php.run("heartbeats.php", broker.url, "ulm", say=[{"beats": beats}, {"beats": beats[:1]}]) == [3]

    got = [parse(body) for body in stream(broker)]
    assert [(beat.machine, beat.seq, beat.seen_at, beat.rpm) for message in got for beat in message.beats] == [
        ("press-1", 1, 1.7e9 + 1, 0.1),
        ("press-1", 2, 1.7e9 + 2, 0.1),
        ("press-1", 1, 1.7e9 + 1, 0.1),
    ]
    assert {message.plant for message in got} == {"ulm"}


def stream(broker: Broker) -> list[bytes]:
    """The bodies of two messages of the stream."""
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
    """Have the broker raise its alarm above so much of the machine's memory; at zero it is short of it at once."""
    environment = {**os.environ, **broker.process.program.environment}
    command = [CTL, "set_vm_memory_high_watermark", str(fraction)]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)


def ask(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Ask a running script for one render."""
    assert process.stdin
    assert process.stdout
    process.stdin.write('{"tenant": "acme"}\n')
    process.stdin.flush()
    answer: dict[str, Any] = json.loads(process.stdout.readline())
    return answer


def end(process: "subprocess.Popen[str]") -> None:
    """Let a script end by itself."""
    process.communicate(timeout=10)
    assert process.returncode == 0


@pytest.mark.usefixtures("queues")
def test_given_a_broker_that_is_killed_then_php_is_told_in_time_and_goes_on_when_it_is_back(broker: Broker) -> None:
    process = php.start("publish.php", broker.url, str(TIMEOUT), "1")
    assert ask(process)["published"]
    broker.process.kill()

    answers = [ask(process) for _ in range(3)]

    # The first one went to a line that was open: the broker may have had it.
    assert {each["error"] for each in answers} <= {"BrokerUnavailable", "NotConfirmed"}
    assert answers[-1]["error"] == "BrokerUnavailable"
    assert answers[-1]["said"].startswith(
        "The broker cannot be reached: nothing was sent. Check its URL and whether RabbitMQ runs (`bulkhead doctor`), "
        "then send the same object again. ("
    )
    assert max(seconds for each in answers for seconds in each["seconds"]) < IN_TIME
    broker.process.start()
    broker.process.wait_ready()
    assert eventually(lambda: ask(process)["published"])
    end(process)
