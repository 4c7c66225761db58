"""Webhooks with a real broker, worker and receiver, from a job's end to PHP's verdict on the signature."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from cli.embedded.process import NotInstalled
from tasks.jobs import State
from tasks.messaging.topology import WEBHOOKS
from tasks.webhook_outbox import WebhookPublisher
from tasks.webhooks import WebhookMessage
from tests.conftest import skip_or_fail
from tests.integration.jobs.renders import TENANT, Renders, eventually
from tests.services.edge import php
from tests.services.platform import Platform
from tests.services.receiver import Receiver, receiving

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

# A plant's pauses are seconds to hours; these are as many, a hundredth and less as long.
PAUSES = "0.2 0.4 0.8 1.6 3.2"

# `localhost` is a name as any other: it is allowed, and so is its network, where a test says so.
OPEN = {
    "webhook_hosts": "localhost",
    "webhook_networks": "127.0.0.1/32 ::1/128",
    "webhook_secrets": json.dumps({TENANT: SECRET}),
    "webhook_retry_delays": PAUSES,
    "webhook_timeout": "2",
}


@dataclass
class House:
    """What the tests need of the platform."""

    platform: Platform
    sent: Renders
    publisher: WebhookPublisher

    def waiting(self) -> int:
        """Webhooks that wait to be delivered now."""
        return self.sent.publisher.queue_depth(WEBHOOKS)


@pytest.fixture
def house(platform: Platform) -> Iterator[House]:
    sent = Renders(platform)
    publisher = WebhookPublisher(sent.app, 5)
    yield House(platform, sent, publisher)
    publisher.close()
    sent.close()


def webhook(receiver: Receiver, number: int = 1, **fields: Any) -> WebhookMessage:
    """A webhook to the receiver."""
    known = {
        "id": f"0b0f7c1e-58a2-4ac5-9c1b-{number:012x}",
        "tenant": TENANT,
        "url": f"http://localhost:{receiver.port}/hooks?x=1",
        "body": '{"type":"render.succeeded","data":{"filename":"Süd/\u2028.dxf"}}',
    }
    return WebhookMessage.model_validate(known | fields)


def verified(receiver: Receiver, secret: str = SECRET) -> list[dict[str, Any]]:
    """What PHP says of everything that was received."""
    try:
        said = [{"body": each.body.decode(), "headers": each.headers} for each in receiver.received]
        return php.run_script("verify.php", secret, requests=said)
    except NotInstalled as error:
        skip_or_fail(error)


def test_given_renders_that_name_a_webhook_then_each_end_is_told_once_and_php_verifies_it(house: House) -> None:
    house.platform.start_worker(**OPEN)
    house.platform.start_worker("webhooks", queue=WEBHOOKS, **OPEN)
    with receiving() as receiver:
        url = f"http://localhost:{receiver.port}/hooks"
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        good = house.sent.make(webhook=url, filename="Süd.dxf", traceparent=trace)
        gone = house.sent.make(webhook=url)
        quiet = house.sent.make()
        house.sent.store.delete(gone.source)
        for message in (quiet, gone, good):  # published straight to the broker: the ledger adopts them
            house.sent.publisher.publish("render.blueprint", message.job, message.model_dump(mode="json"))
        eventually(lambda: len(receiver.received) >= 2)
        for message in (quiet, gone, good):
            house.sent.finished(message.job)

        events = [answer["event"] for answer in verified(receiver)]

    assert [(event["type"], event["data"]["id"]) for event in events] == [
        ("render.failed", gone.job),
        ("render.succeeded", good.job),
    ]
    assert events[0]["data"]["error"]["code"] == "source-missing"
    assert events[1]["data"] == {"id": good.job, "state": "succeeded", "filename": "Süd.dxf", "error": None}
    assert receiver.received[1].headers["traceparent"] == trace
    assert house.sent.ledger.jobs.pending_webhooks() == []


def test_given_a_job_that_ends_without_a_worker_then_upkeep_tells(house: House) -> None:
    house.platform.start_maintenance(maintenance_interval="1", **OPEN)
    house.platform.start_worker("webhooks", queue=WEBHOOKS, **OPEN)
    with receiving() as receiver:
        message = house.sent.make(webhook=f"http://localhost:{receiver.port}/hooks")
        house.sent.accept(message, webhook=message.webhook, webhook_pending=True, state=State.QUEUED)
        house.sent.ledger.jobs.cancel(message.job, time.time(), error={"code": "cancelled", "detail": "Not needed."})

        eventually(lambda: receiver.received)

        (answer,) = verified(receiver)
    assert answer["event"]["type"] == "render.cancelled"


def test_given_a_receiver_that_is_down_for_a_while_then_it_is_told_when_it_is_back_and_a_forgery_is_refused(
    house: House,
) -> None:
    house.platform.start_worker("webhooks", queue=WEBHOOKS, **OPEN)
    receiver = Receiver()
    receiver.status = 503
    house.publisher.publish(webhook(receiver))
    eventually(lambda: len(receiver.received) >= 2)
    receiver.close()  # after two refusals nobody listens at all
    time.sleep(1)

    with receiving(receiver.port) as back:
        eventually(lambda: back.received)
        (answer,) = verified(back)
        (forged,) = verified(back, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")

    assert answer["event"]["id"] == webhook(receiver).id
    assert {each.headers["webhook-id"] for each in receiver.received} == {webhook(receiver).id}
    assert forged["error"] == "The signature of the webhook does not match: it is forged, or the secrets differ."
    assert house.sent.letters.peek() == []


def test_given_a_receiver_that_stays_down_then_the_webhook_is_a_dead_letter_that_can_be_replayed(house: House) -> None:
    house.platform.start_worker("webhooks", queue=WEBHOOKS, **{**OPEN, "webhook_retry_delays": "0.1 0.2"})
    with receiving() as receiver:
        receiver.status = 500
        house.publisher.publish(webhook(receiver))

        letter = house.sent.dead_letter(webhook(receiver).id)

        assert letter.reason == "localhost answered 500"
        assert len(receiver.received) == 3
        receiver.status = 204
        assert house.sent.letters.replay(letter.id) == 1
        assert eventually(lambda: receiver.received[-1].status == 204)
    assert house.sent.letters.peek() == []


def test_given_destinations_that_are_refused_then_nothing_is_sent_and_the_dead_letters_say_why(house: House) -> None:
    house.platform.start_worker("webhooks", queue=WEBHOOKS, **{**OPEN, "webhook_networks": ""})
    with receiving() as receiver:
        private = webhook(receiver, 1)
        foreign = webhook(receiver, 2, url="https://169.254.169.254/latest/")
        for message in (private, foreign):
            house.publisher.publish(message)

        reasons = [house.sent.dead_letter(message.id).reason for message in (private, foreign)]

        assert re.fullmatch(
            r"localhost leads to \S+, which is not public: allow it by BULKHEAD_WEBHOOK_NETWORKS", reasons[0]
        )
        assert reasons[1] == "the host 169.254.169.254 is not among BULKHEAD_WEBHOOK_HOSTS"
        assert receiver.received == []
