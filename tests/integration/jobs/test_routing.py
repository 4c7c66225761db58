"""Real queues: which worker consumes which, and where a job continues that was out of memory."""

import json
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest

from tasks import renders
from tasks.jobs import State
from tasks.messaging.topology import LARGE, RENDER, RENDER_QUEUES, TILES
from tests.integration.jobs import hungry
from tests.integration.jobs.renders import Renders, publish_raw
from tests.services.platform import ROOT, Platform
from workers.sandbox.leaf_cgroup import leaf_cgroup

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]

HUNGRY = ("-I", hungry.__name__)
WITH_LARGE = {"large_memory_limit": str(1 << 30)}
SHORT_INTERVALS = {"maintenance_interval": "0.5", "republish_after": "5", **WITH_LARGE}


@pytest.fixture
def out_of_memory() -> str:
    """How a render over its memory limit ends here: the kernel enforces the limit where a cgroup can be created."""
    with leaf_cgroup(1 << 30) as cgroup:
        return "was stopped over its memory limit" if cgroup is None else "was killed by the kernel"


@pytest.fixture
def sent(platform: Platform) -> Iterator[Renders]:
    sent = Renders(platform)
    yield sent
    sent.close()
    platform.kill()  # a graceful stop takes seconds, and these workers are no longer needed


def send(sent: Renders, queue: str, comment: str = "") -> str:
    """Accept a render and publish it to a queue. Returns the id of its job."""
    message = sent.make(comment=comment)
    sent.accept(message, queue=queue)
    sent.publish(message, queue)
    return message.job


def test_given_a_backlog_in_the_tiles_queue_then_a_preview_does_not_wait_for_it(
    platform: Platform, sent: Renders
) -> None:
    backlog = [send(sent, TILES) for _ in range(5)]
    platform.start_worker()

    assert sent.finished(send(sent, RENDER)).state is State.SUCCEEDED

    assert {sent.find(job).state for job in backlog} == {State.QUEUED}
    platform.start_worker("tiles1", queue=TILES)
    assert {sent.finished(job).state for job in backlog} == {State.SUCCEEDED}


def test_given_messages_of_unknown_jobs_on_any_render_queue_then_each_is_accepted_or_dead_lettered_there(
    platform: Platform, sent: Renders
) -> None:
    platform.start_worker(queue=",".join(RENDER_QUEUES))
    messages = {queue: sent.make() for queue in RENDER_QUEUES}
    invalid = str(uuid.uuid4())

    for queue, message in messages.items():
        body = json.dumps([[], message.model_dump(mode="json"), {}])
        publish_raw(platform.broker_url, body, {"task": renders.TASK, "id": message.job}, routing_key=queue)
    publish_raw(platform.broker_url, "[[], {}, {}]", {"task": renders.TASK, "id": invalid}, routing_key=TILES)

    jobs = {queue: sent.finished(message.job) for queue, message in messages.items()}
    assert {queue: (job.queue, job.state) for queue, job in jobs.items()} == {
        queue: (queue, State.SUCCEEDED) for queue in RENDER_QUEUES
    }
    assert sent.dead_letter(invalid).queue == TILES
    replay(platform, invalid)
    assert sent.dead_letter(invalid).queue == TILES


def test_given_jobs_out_of_memory_then_they_continue_in_the_large_queue_and_are_replayed_there(
    platform: Platform, sent: Renders, out_of_memory: str
) -> None:
    platform.start_worker("render1", *HUNGRY, **WITH_LARGE)
    large = platform.start_worker("large1", *HUNGRY, queue=LARGE, **WITH_LARGE)
    platform.start_maintenance(**SHORT_INTERVALS)

    big = send(sent, RENDER, hungry.comment(700))
    bomb = send(sent, RENDER, hungry.comment(5000))

    job = sent.finished(big)
    assert (job.state, job.queue, job.crashes, job.attempt) == (State.SUCCEEDED, LARGE, 1, 2)
    first = sent.history(big)[0]
    assert first.cause == "out-of-memory"
    assert first.explanation is not None
    assert re.fullmatch(
        rf"Attempt 1 {out_of_memory} at [\d.,]+ MiB while planning .*\. "
        r"It continues in render\.large, with a larger memory limit\.",
        first.explanation,
    )

    job = sent.finished(bomb)
    assert (job.state, job.queue, job.crashes, job.attempt) == (State.DEAD, LARGE, 2, 2)
    assert job.error is not None
    assert job.error["code"] == "out-of-memory"
    assert re.fullmatch(
        rf"Attempt 2 {out_of_memory} at .* Attempt 2 was the last one\.",
        job.error["detail"],
    )
    letter = sent.dead_letter(bomb)
    assert (letter.queue, letter.task) == (LARGE, renders.TASK)

    large.kill()
    platform.start_worker("large2", queue=LARGE, **WITH_LARGE)  # with the normal engine
    replay(platform, bomb)

    job = sent.finished(bomb)
    assert (job.state, job.queue, job.attempt) == (State.SUCCEEDED, LARGE, 3)
    assert sent.letters.peek() == []


def test_given_more_jobs_than_a_tenant_may_queue_then_maintenance_queues_them_one_after_another(
    platform: Platform, sent: Renders
) -> None:
    messages = [sent.make() for _ in range(3)]
    for message in messages:
        sent.accept(message)
    platform.start_worker()
    platform.start_maintenance(maintenance_interval="0.5", tenant_max_queued="1")

    jobs = [sent.finished(message.job) for message in messages]

    assert {(job.state, job.publications) for job in jobs} == {(State.SUCCEEDED, 1)}


def replay(platform: Platform, letter_id: str) -> None:
    """`bulkhead dead replay`, as an operator calls it."""
    completed = subprocess.run(
        [sys.executable, "-m", "cli", "dead", "replay", letter_id],
        cwd=ROOT,
        env=platform._with({}),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (completed.returncode, completed.stdout) == (0, f"{letter_id} is queued again.\n"), completed.stderr
