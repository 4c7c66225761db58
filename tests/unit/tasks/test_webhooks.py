"""What is told of a render's end, and to whom."""

import json

import pytest
from pydantic import TypeAdapter, ValidationError

from tasks.jobs import Job, State
from tasks.messaging.topology import retry_queue
from tasks.settings import Settings
from tasks.webhook_outbox import webhook_message
from tasks.webhooks import WebhookUrl, is_host_allowed

JOB = Job(
    id="0b0f7c1e-58a2-4ac5-9c1b-7d6c5a3f2e10",
    tenant="acme",
    state=State.FAILED,
    source="sources/acme/1",
    filename="Süd.dxf",
    options={},
    created_at=1,
    updated_at=1_764_070_001.5,
    finished_at=1_764_070_000.25,
    error={"code": "no-such-page", "detail": "There is no page 7."},
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    webhook="https://portal.example.com/hooks?x=1",
)


def test_given_a_settled_job_then_its_webhook_tells_state_and_error() -> None:
    message = webhook_message(JOB)

    assert (message.tenant, message.url, message.traceparent) == ("acme", JOB.webhook, JOB.traceparent)
    assert json.loads(message.body) == {
        "type": "render.failed",
        "timestamp": "2025-11-25T11:26:40.250+00:00",
        "data": {"id": JOB.id, "state": "failed", "filename": "Süd.dxf", "error": JOB.error},
    }


def test_given_the_same_end_told_twice_then_its_id_is_the_same_and_another_ends_is_not() -> None:
    from dataclasses import replace

    assert webhook_message(JOB).id == webhook_message(replace(JOB, updated_at=2)).id
    assert webhook_message(JOB).id != webhook_message(replace(JOB, state=State.SUCCEEDED)).id
    assert webhook_message(JOB).id != webhook_message(replace(JOB, finished_at=3)).id


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://portal.example.com/x", True),
        ("https://PORTAL.example.com./x", True),
        ("https://a.b.example.org", True),
        ("https://example.org", False),
        ("https://evilexample.org", False),
        ("https://portal.example.com.evil.net/", False),
        ("https://10.0.0.1/", False),
    ],
)
def test_hosts_are_allowed_by_their_whole_name(url: str, allowed: bool) -> None:
    assert is_host_allowed(url, ("portal.example.com", "*.example.org")) is allowed
    assert not is_host_allowed(url, ())


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example.com/",
        "https://user@a.example.com/",
        "https://a.example.com#x",
        "https://a.example.com/#x",
        "https://a.example.com\\@b/",
        "https://[::1]/",
        "https:///x",
        "https://a.example.com/\r\nX: y",
        "https://a.example.com/ü",
        "https://a.example.com/" + "x" * 500,
    ],
)
def test_what_two_parsers_could_read_differently_is_no_address(url: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(WebhookUrl).validate_python(url)


def test_webhooks_wait_in_a_queue_for_each_length_of_time_and_come_back_by_themselves() -> None:
    queue = retry_queue("webhooks", 2.5)
    arguments = queue.queue_arguments  # type: ignore[attr-defined]

    assert (queue.name, arguments["x-message-ttl"]) == ("webhooks.retry.2500", 2500)
    assert (arguments["x-dead-letter-exchange"], arguments["x-dead-letter-routing-key"]) == ("bulkhead", "webhooks")
    assert (arguments["x-dead-letter-strategy"], arguments["x-overflow"]) == ("at-least-once", "reject-publish")


def test_settings_of_webhooks_are_read_from_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULKHEAD_WEBHOOK_HOSTS", "portal.example.com *.example.org")
    monkeypatch.setenv("BULKHEAD_WEBHOOK_NETWORKS", "10.1.2.0/24 fd00::/8")
    monkeypatch.setenv("BULKHEAD_WEBHOOK_RETRY_DELAYS", "0.5 2")

    chosen = Settings()

    assert chosen.webhook_hosts == ("portal.example.com", "*.example.org")
    assert [str(network) for network in chosen.webhook_networks] == ["10.1.2.0/24", "fd00::/8"]
    assert chosen.webhook_retry_delays == (0.5, 2)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("NETWORKS", "10.1.2.3.4", "valid IPv4 or IPv6 network"),
        ("RETRY_DELAYS", "5 soon", "valid number"),
        ("RETRY_DELAYS", "0", "greater than 0"),
        ("SECRETS", '{"acme": "whsec_c2hvcnQ="}', "make one with `echo whsec_$(openssl rand -base64 32)`"),
        ("SECRETS", '{"acme": ""}', "write a secret as whsec_ followed by Base64"),
        ("SECRETS", "whsec_c2hvcnQ=", 'write it as JSON: {"tenant": "whsec_…"}'),
    ],
)
def test_a_setting_that_means_nothing_is_refused(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"BULKHEAD_WEBHOOK_{name}", value)

    with pytest.raises(ValidationError) as caught:
        Settings()

    assert said in str(caught.value)
    assert "c2hvcnQ" not in str(caught.value)
