"""Real maintenance: an accepted job is rendered in the end, whatever happened to its message."""

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

SHORT_INTERVALS = {"maintenance_interval": "0.5", "republish_after": "1", "lease": "1"}


def test_given_an_accepted_job_that_was_never_published_then_it_is_published_and_rendered(
    platform: Platform, sent: Renders
) -> None:
    message = sent.make()
    sent.accept(message)

    platform.start_worker()
    platform.start_maintenance(**SHORT_INTERVALS)

    job = sent.finished(message.job)
    assert (job.state, job.attempt) == (State.SUCCEEDED, 1)
    assert job.publications >= 1


def test_given_a_job_leased_by_a_lost_host_then_it_is_rendered_after_the_lease_expires(
    platform: Platform, sent: Renders
) -> None:
    message = sent.make()
    job = sent.accept(message)
    claim = sent.ledger.attempts.claim(job, lease_owner="lost-host-1:7:7", now=time.time(), lease=3)
    assert isinstance(claim, Claimed)

    platform.start_worker()
    platform.start_maintenance(**SHORT_INTERVALS)

    job = sent.finished(message.job)
    assert (job.state, job.attempt, job.crashes, job.worker_losses) == (State.SUCCEEDED, 2, 0, 1)
    assert sent.history(job.id)[0].explanation == "Its worker ended without a crash report."


def test_given_a_broker_that_lost_its_queues_then_queued_jobs_are_republished(
    platform: Platform, sent: Renders, broker: Broker
) -> None:
    jobs = [sent.submit() for _ in range(3)]
    eventually(lambda: sent.publisher.queue_depth(RENDER) == 3)

    delete_queues(broker.url)

    platform.start_worker()
    platform.start_maintenance(**SHORT_INTERVALS)

    assert {sent.finished(job).state for job in jobs} == {State.SUCCEEDED}


def test_given_a_job_with_unknown_options_then_it_is_dead_and_the_others_continue(
    platform: Platform, sent: Renders
) -> None:
    unsupported, message = sent.make(), sent.make()
    sent.accept(unsupported, options={"width": -5}, created_at=1.0)
    sent.accept(message)

    platform.start_worker()
    platform.start_maintenance(**SHORT_INTERVALS)

    assert sent.finished(message.job).state is State.SUCCEEDED
    dead = sent.finished(unsupported.job)
    assert (dead.state, dead.error) == (
        State.DEAD,
        {
            "code": "unknown-options",
            "detail": "This version does not support the options of the job. Send the drawing again.",
        },
    )


def test_given_an_unavailable_broker_then_maintenance_waits_for_it_without_losing_its_worker(
    platform: Platform, sent: Renders, broker: Broker
) -> None:
    maintenance = platform.start_maintenance(**SHORT_INTERVALS)
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


def test_given_expired_jobs_when_retention_runs_then_they_are_removed_with_their_files(
    platform: Platform, sent: Renders
) -> None:
    old, new = sent.make(), sent.make()
    sent.accept(old, state=State.FAILED, updated_at=1.0)
    sent.accept(new, state=State.FAILED)
    platform.start_worker("maintenance", queue=MAINTENANCE, retain_jobs_days="1")

    task_id = str(uuid.uuid4())
    publish_raw(platform.broker_url, "[[], {}, {}]", {"task": RETAIN_TASK, "id": task_id}, routing_key=MAINTENANCE)

    eventually(lambda: sent.ledger.jobs.find(old.job) is None)
    assert sent.find(new.job).state is State.FAILED
    assert eventually(lambda: list(sent.store.list("sources")) == [new.source])
