"""Webhooks with a real broker, worker and receiver, from the end of a job to the check of the signature in PHP."""

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

# As many retry delays as by default, but at most a hundredth as long.
RETRY_DELAYS = "0.2 0.4 0.8 1.6 3.2"

# Webhooks to `localhost` and its network are allowed.
OPEN = {
    "webhook_hosts": "localhost",
    "webhook_networks": "127.0.0.1/32 ::1/128",
    "webhook_secrets": json.dumps({TENANT: SECRET}),
    "webhook_retry_delays": RETRY_DELAYS,
    "webhook_timeout": "2",
}


@dataclass
class Services:
    """The services of a test."""

    platform: Platform
    renders: Renders
    publisher: WebhookPublisher

    def waiting(self) -> int:
        """The number of webhooks in the queue."""
        return self.renders.publisher.queue_depth(WEBHOOKS)


@pytest.fixture
def services(platform: Platform) -> Iterator[Services]:
    renders = Renders(platform)
    publisher = WebhookPublisher(renders.app, 5)
    yield Services(platform, renders, publisher)
    publisher.close()
    renders.close()


def webhook(receiver: Receiver, number: int = 1, **fields: Any) -> WebhookMessage:
    """A webhook to the receiver."""
    defaults = {
        "id": f"0b0f7c1e-58a2-4ac5-9c1b-{number:012x}",
        "tenant": TENANT,
        "url": f"http://localhost:{receiver.port}/hooks?x=1",
        "body": '{"type":"render.succeeded","data":{"filename":"Süd/\u2028.dxf"}}',
    }
    return WebhookMessage.model_validate(defaults | fields)


def verified(receiver: Receiver, secret: str = SECRET) -> list[dict[str, Any]]:
    """PHP's result for every webhook that was received."""
    try:
        received = [{"body": each.body.decode(), "headers": each.headers} for each in receiver.received]
        return php.run_script("verify.php", secret, requests=received)
    except NotInstalled as error:
        skip_or_fail(error)


def test_given_renders_with_a_webhook_then_each_end_is_delivered_once_and_php_verifies_it(services: Services) -> None:
    services.platform.start_worker(**OPEN)
    services.platform.start_worker("webhooks", queue=WEBHOOKS, **OPEN)
    with receiving() as receiver:
        url = f"http://localhost:{receiver.port}/hooks"
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        succeeding = services.renders.make(webhook=url, filename="Süd.dxf", traceparent=trace)
        failing = services.renders.make(webhook=url)
        without_webhook = services.renders.make()
        services.renders.store.delete(failing.source)
        for message in (
            without_webhook,
            failing,
            succeeding,
        ):  # published to the broker directly: the ledger adopts them
            services.renders.publisher.publish("render.blueprint", message.job, message.model_dump(mode="json"))
        eventually(lambda: len(receiver.received) >= 2)
        for message in (without_webhook, failing, succeeding):
            services.renders.finished(message.job)

        events = [result["event"] for result in verified(receiver)]

    assert [(event["type"], event["data"]["id"]) for event in events] == [
        ("render.failed", failing.job),
        ("render.succeeded", succeeding.job),
    ]
    assert events[0]["data"]["error"]["code"] == "source-missing"
    assert events[1]["data"] == {"id": succeeding.job, "state": "succeeded", "filename": "Süd.dxf", "error": None}
    assert receiver.received[1].headers["traceparent"] == trace
    assert services.renders.ledger.jobs.pending_webhooks() == []


def test_given_a_job_that_ends_without_a_worker_then_maintenance_publishes_its_webhook(services: Services) -> None:
    services.platform.start_maintenance(maintenance_interval="1", **OPEN)
    services.platform.start_worker("webhooks", queue=WEBHOOKS, **OPEN)
    with receiving() as receiver:
        message = services.renders.make(webhook=f"http://localhost:{receiver.port}/hooks")
        services.renders.accept(message, webhook=message.webhook, webhook_pending=True, state=State.QUEUED)
        services.renders.ledger.jobs.cancel(
            message.job, time.time(), error={"code": "cancelled", "detail": "Not needed."}
        )

        eventually(lambda: receiver.received)

        (result,) = verified(receiver)
    assert result["event"]["type"] == "render.cancelled"


def test_given_a_receiver_that_is_down_for_a_while_then_it_gets_the_webhook_later_and_rejects_a_forgery(
    services: Services,
) -> None:
    services.platform.start_worker("webhooks", queue=WEBHOOKS, **OPEN)
    receiver = Receiver()
    receiver.status = 503
    services.publisher.publish(webhook(receiver))
    eventually(lambda: len(receiver.received) >= 2)
    receiver.close()  # after two errors the port is closed
    time.sleep(1)

    with receiving(receiver.port) as restarted:
        eventually(lambda: restarted.received)
        (result,) = verified(restarted)
        (forged,) = verified(restarted, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")

    assert result["event"]["id"] == webhook(receiver).id
    assert {each.headers["webhook-id"] for each in receiver.received} == {webhook(receiver).id}
    assert forged["error"] == "The signature of the webhook does not match: it is forged, or the secrets differ."
    assert services.renders.letters.peek() == []


def test_given_a_receiver_that_stays_down_then_the_webhook_becomes_a_dead_letter_that_can_be_replayed(
    services: Services,
) -> None:
    services.platform.start_worker("webhooks", queue=WEBHOOKS, **{**OPEN, "webhook_retry_delays": "0.1 0.2"})
    with receiving() as receiver:
        receiver.status = 500
        services.publisher.publish(webhook(receiver))

        letter = services.renders.dead_letter(webhook(receiver).id)

        assert letter.reason == "localhost answered 500"
        assert len(receiver.received) == 3
        receiver.status = 204
        assert services.renders.letters.replay(letter.id) == 1
        assert eventually(lambda: receiver.received[-1].status == 204)
    assert services.renders.letters.peek() == []


def test_given_forbidden_destinations_then_nothing_is_sent_and_the_dead_letters_give_the_reason(
    services: Services,
) -> None:
    services.platform.start_worker("webhooks", queue=WEBHOOKS, **{**OPEN, "webhook_networks": ""})
    with receiving() as receiver:
        private = webhook(receiver, 1)
        foreign = webhook(receiver, 2, url="https://169.254.169.254/latest/")
        for message in (private, foreign):
            services.publisher.publish(message)

        reasons = [services.renders.dead_letter(message.id).reason for message in (private, foreign)]

        assert re.fullmatch(
            r"localhost resolves to \S+, which is not public\. Allow it in BULKHEAD_WEBHOOK_NETWORKS\.", reasons[0]
        )
        assert reasons[1] == "The host 169.254.169.254 is not listed in BULKHEAD_WEBHOOK_HOSTS."
        assert receiver.received == []
