"""Dead letters on a real broker: added with a reason, listed, replayed and deleted."""

import json
import uuid
from collections.abc import Iterator

import pytest
from kombu import Connection

from tasks import renders
from tasks.jobs import State
from tasks.messaging.dead_letters import PEEK_LIMIT, REASON_HEADER, DeadLetter, DeadLetters
from tasks.messaging.topology import DEAD_EXCHANGE, DEAD_QUEUES, RENDER, work_queue
from tests.conftest import Broker
from tests.integration.jobs.renders import Renders, celery_app, eventually, publish_raw
from tests.services.platform import Platform

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]


@pytest.fixture
def letters(broker: Broker) -> Iterator[DeadLetters]:
    letters = DeadLetters(celery_app(broker.url), timeout=5)
    yield letters
    letters.close()


def add_dead_letter(broker: Broker, letter_id: str, body: bytes = b"{}", reason: str = "invalid") -> None:
    """Publish a message to the dead-letter exchange."""
    with Connection(broker.url) as connection, connection.channel() as channel:
        DEAD_QUEUES[0](channel).declare()
    publish_raw(
        broker.url,
        body,
        {"id": letter_id, "task": renders.TASK, REASON_HEADER: reason},
        exchange=DEAD_EXCHANGE,
        routing_key=RENDER,
    )


def test_given_no_queue_then_there_are_no_dead_letters(letters: DeadLetters) -> None:
    assert letters.peek() == []
    assert letters.delete("x") == 0
    assert letters.replay("x") == 0


def test_given_a_rejected_message_then_its_dead_letter_has_the_reason_and_the_exact_body(
    platform: Platform, sent: Renders
) -> None:
    platform.start_worker()
    letter_id = str(uuid.uuid4())
    headers = {"task": renders.TASK, "id": letter_id, "retries": 3}
    body = "[[], {\u00e9\u00df}, \ud83d\ude00".encode("utf-16", "surrogatepass")

    publish_raw(platform.broker_url, body, headers, content_encoding="utf-16", correlation_id=letter_id)

    letter = sent.dead_letter(letter_id)
    assert letter == DeadLetter(
        queue=RENDER,
        id=letter_id,
        task=renders.TASK,
        reason="the content encoding is 'utf-16'; only 'utf-8' is accepted",
        headers=letter.headers,
        body=body,
        content_type="application/json",
        content_encoding="utf-16",
        correlation_id=letter_id,
    )
    assert {name: letter.headers[name] for name in headers} == headers


def test_given_dead_letters_when_peeked_then_they_are_listed_oldest_first_and_stay(
    broker: Broker, letters: DeadLetters
) -> None:
    ids = [str(uuid.uuid4()) for _ in range(5)]
    for letter_id in ids:
        add_dead_letter(broker, letter_id)

    for _ in range(30):  # more often than any delivery limit of a work queue
        eventually(lambda: len(letters.peek()) == 5)
    assert [letter.id for letter in letters.peek()] == ids


def test_given_dead_letters_when_one_is_deleted_then_the_others_stay(broker: Broker, letters: DeadLetters) -> None:
    for letter_id in ("a", "b", "c"):
        add_dead_letter(broker, letter_id)

    assert letters.delete("b") == 1
    assert letters.delete("b") == 0

    assert eventually(lambda: [letter.id for letter in letters.peek()] == ["a", "c"])


def test_given_a_dead_letter_without_an_id_then_it_has_an_id_of_its_body_and_can_be_deleted(
    broker: Broker, letters: DeadLetters
) -> None:
    for body in (b"\xff\x00 junk", b""):
        with Connection(broker.url) as connection, connection.channel() as channel:
            DEAD_QUEUES[0](channel).declare()
        publish_raw(
            broker.url, body, None, exchange=DEAD_EXCHANGE, routing_key=RENDER, content_type="", content_encoding=""
        )

    first, second = eventually(lambda: letters.peek() if len(letters.peek()) == 2 else None)

    assert (first.body, second.body, first.reason) == (b"\xff\x00 junk", b"", "unknown")
    assert letters.delete(first.id) == 1
    assert [letter.id for letter in letters.peek()] == [second.id]


def test_given_a_dead_letter_when_replayed_then_it_returns_to_its_queue_without_the_reason(
    broker: Broker, letters: DeadLetters
) -> None:
    body = b'[[], {"caf\xc3\xa9": 1}, {}]'
    add_dead_letter(broker, "again", body)
    with Connection(broker.url) as connection, connection.channel() as channel:
        work_queue(RENDER)(channel).declare()

    assert letters.replay("again") == 1

    assert letters.peek() == []
    with Connection(broker.url) as connection:
        message = eventually(lambda: work_queue(RENDER)(connection.channel()).get(no_ack=True))
    assert (message.headers["id"], message.headers["task"]) == ("again", renders.TASK)
    assert REASON_HEADER not in message.headers
    assert json.loads(message.body) == [[], {"caf\u00e9": 1}, {}]
    assert message.properties["delivery_mode"] == 2


def test_given_more_dead_letters_than_the_limit_then_the_first_ones_are_listed(
    broker: Broker, letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.messaging.dead_letters.PEEK_LIMIT", 3)
    for number in range(5):
        add_dead_letter(broker, str(number))

    assert PEEK_LIMIT == 1000
    assert [letter.id for letter in letters.peek()] == ["0", "1", "2"]


def test_given_a_message_over_the_delivery_limit_then_it_is_dead_lettered_with_the_broker_s_reason(
    broker: Broker, letters: DeadLetters
) -> None:
    with Connection(broker.url) as connection, connection.channel() as channel:
        queue = work_queue(RENDER)(channel)
        queue.declare()
        DEAD_QUEUES[0](channel).declare()
        publish_raw(broker.url, "[]", {"id": "worn-out", "task": renders.TASK})
        deliveries = 0
        while message := eventually(lambda: queue.get() or (len(letters.peek()) == 1 and "gone")):
            if message == "gone":
                break
            deliveries += 1
            message.requeue()

    assert deliveries == 21
    assert [(letter.id, letter.reason) for letter in letters.peek()] == [("worn-out", "delivery_limit")]


def test_given_a_dead_job_when_job_and_dead_letter_are_replayed_then_it_is_rendered(
    platform: Platform, sent: Renders
) -> None:
    message = sent.make()
    sent.accept(message, state=State.DEAD, crashes=3)
    sent.publisher.publish(renders.TASK, message.job, message.model_dump(mode="json"))
    platform.start_worker()
    letter = sent.dead_letter(message.job)
    assert letter.reason == "rejected"

    assert sent.ledger.jobs.replay(message.job, 0)
    assert sent.letters.replay(letter.id) == 1

    assert sent.finished(message.job).state is State.SUCCEEDED
    assert sent.letters.peek() == []
