"""The sweep, for real: what was accepted is rendered in the end, whatever happened to its message."""

import time
import uuid

import pytest

from tasks.jobs import Claimed, State
from tasks.maintenance import RETAIN_TASK
from tasks.messaging.topology import MAINTENANCE, RENDER
from tests.conftest import Broker
from tests.integration.jobs.renders import NEW_QUEUE, Renders, eventually, publish_raw
from tests.services.platform import Platform, delete_queues

pytestmark = [pytest.mark.service, pytest.mark.timeout(150)]

SWIFT = {"maintenance_interval": "0.5", "republish_after": "1", "lease": "1"}


def test_given_a_job_accepted_but_never_published_then_the_sweep_publishes_it_and_it_is_rendered(
    platform: Platform, sent: Renders
) -> None:
    message = sent.make()
    sent.accept(message)

    platform.start_worker()
    platform.start_maintenance(**SWIFT)

    job = sent.finished(message.job)
    assert (job.state, job.attempt) == (State.SUCCEEDED, 1)
    assert job.publications >= 1


def test_given_a_job_held_by_a_worker_of_a_lost_host_then_it_is_rendered_after_its_lease(
    platform: Platform, sent: Renders
) -> None:
    message = sent.make()
    job = sent.accept(message)
    claim = sent.ledger.attempts.claim(job, lease_owner="lost-host-1:7:7", now=time.time(), lease=3)
    assert isinstance(claim, Claimed)

    platform.start_worker()
    platform.start_maintenance(**SWIFT)

    job = sent.finished(message.job)
    assert (job.state, job.attempt, job.crashes, job.worker_losses) == (State.SUCCEEDED, 2, 0, 1)
    assert sent.history(job.id)[0].explanation == "Its worker vanished."


def test_given_a_broker_that_forgot_everything_then_queued_jobs_are_published_again(
    platform: Platform, sent: Renders, broker: Broker
) -> None:
    jobs = [sent.submit() for _ in range(3)]
    eventually(lambda: sent.publisher.queue_depth(RENDER) == 3)

    delete_queues(broker.url)

    platform.start_worker()
    platform.start_maintenance(**SWIFT)

    assert {sent.finished(job).state for job in jobs} == {State.SUCCEEDED}


def test_given_a_job_that_this_version_cannot_ask_for_then_it_is_buried_and_the_others_go_on(
    platform: Platform, sent: Renders
) -> None:
    odd, message = sent.make(), sent.make()
    sent.accept(odd, options={"width": -5}, created_at=1.0)
    sent.accept(message)

    platform.start_worker()
    platform.start_maintenance(**SWIFT)

    assert sent.finished(message.job).state is State.SUCCEEDED
    buried = sent.finished(odd.job)
    assert (buried.state, buried.error) == (
        State.DEAD,
        {"code": "unknown-options", "detail": "This version cannot render what was asked for. Send it again."},
    )


def test_given_a_broker_that_is_away_then_the_sweep_waits_for_it_without_losing_its_worker(
    platform: Platform, sent: Renders, broker: Broker
) -> None:
    maintenance = platform.start_maintenance(**SWIFT)
    platform.start_worker()
    time.sleep(NEW_QUEUE)
    broker.process.kill()
    message = sent.make()
    sent.accept(message)
    time.sleep(2)

    broker.process.start()
    broker.process.wait_ready()

    assert sent.finished(message.job, timeout=90).state is State.SUCCEEDED
    assert maintenance.describe_exit() is None


def test_given_jobs_that_are_too_old_when_a_round_is_due_then_they_are_forgotten_with_all_they_left(
    platform: Platform, sent: Renders
) -> None:
    old, new = sent.make(), sent.make()
    sent.accept(old, state=State.FAILED, updated_at=1.0)
    sent.accept(new, state=State.FAILED)
    platform.start_worker("maintenance", queue=MAINTENANCE, retain_jobs_days="1")

    round_id = str(uuid.uuid4())
    publish_raw(platform.broker_url, "[[], {}, {}]", {"task": RETAIN_TASK, "id": round_id}, routing_key=MAINTENANCE)

    eventually(lambda: sent.ledger.jobs.find(old.job) is None)
    assert sent.find(new.job).state is State.FAILED
    assert eventually(lambda: list(sent.store.list("sources")) == [new.source])
