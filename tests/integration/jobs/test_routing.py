"""Lanes, for real: which worker takes what, where a job goes on that was out of memory, and how it ends."""

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
from tests.integration.jobs.renders import Renders, publish_raw
from tests.services.platform import ROOT, Platform

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]

HUNGRY = ("-I", "tests.integration.jobs.hungry")
WITH_LARGE = {"large_memory_limit": str(1 << 30)}
SWIFT = {"maintenance_interval": "0.5", "republish_after": "5", **WITH_LARGE}


@pytest.fixture
def sent(platform: Platform) -> Iterator[Renders]:
    sent = Renders(platform)
    yield sent
    sent.close()
    platform.kill()  # nothing is asked of these workers any more, and to stop one takes seconds


def send(sent: Renders, queue: str, filename: str = "") -> str:
    """Accept a render and publish it to a lane; answers its job's id."""
    message = sent.make(filename=filename)
    sent.accept(message, queue=queue)
    sent.publish(message, queue)
    return message.job


def test_given_a_backlog_in_the_lane_for_tiles_then_a_preview_does_not_wait_behind_it(
    platform: Platform, sent: Renders
) -> None:
    backlog = [send(sent, TILES) for _ in range(5)]
    platform.start_worker()

    assert sent.finished(send(sent, RENDER)).state is State.SUCCEEDED

    assert {sent.find(job).state for job in backlog} == {State.QUEUED}
    platform.start_worker("tiles1", queue=TILES)
    assert {sent.finished(job).state for job in backlog} == {State.SUCCEEDED}


def test_given_messages_published_by_hand_on_any_lane_then_each_is_adopted_or_refused_as_one_of_that_lane(
    platform: Platform, sent: Renders
) -> None:
    platform.start_worker(queue=",".join(RENDER_QUEUES))
    messages = {lane: sent.make() for lane in RENDER_QUEUES}
    refused = str(uuid.uuid4())

    for lane, message in messages.items():
        body = json.dumps([[], message.model_dump(mode="json"), {}])
        publish_raw(platform.broker_url, body, {"task": renders.TASK, "id": message.job}, routing_key=lane)
    publish_raw(platform.broker_url, "[[], {}, {}]", {"task": renders.TASK, "id": refused}, routing_key=TILES)

    jobs = {lane: sent.finished(message.job) for lane, message in messages.items()}
    assert {lane: (job.queue, job.state) for lane, job in jobs.items()} == {
        lane: (lane, State.SUCCEEDED) for lane in RENDER_QUEUES
    }
    assert sent.dead_letter(refused).queue == TILES
    replay(platform, refused)
    assert sent.dead_letter(refused).queue == TILES


def test_given_jobs_out_of_memory_then_they_go_on_in_the_large_lane_and_one_that_dies_there_too_is_replayed_there(
    platform: Platform, sent: Renders
) -> None:
    platform.start_worker("render1", *HUNGRY, **WITH_LARGE)
    large = platform.start_worker("large1", *HUNGRY, queue=LARGE, **WITH_LARGE)
    platform.start_maintenance(**SWIFT)

    big = send(sent, RENDER, "needs 900 MiB.dxf")
    bomb = send(sent, RENDER, "needs 5000 MiB.dxf")

    job = sent.finished(big)
    assert (job.state, job.queue, job.crashes, job.attempt) == (State.SUCCEEDED, LARGE, 1, 2)
    first = sent.history(big)[0]
    assert first.cause == "out-of-memory"
    assert first.explanation is not None
    assert re.fullmatch(
        r"Attempt 1 needed more memory than its limits allow \(needs 900 MiB\), at \d+ MB while planning .*\. "
        r"It goes on in render\.large, inside a larger fence\.",
        first.explanation,
    )

    job = sent.finished(bomb)
    assert (job.state, job.queue, job.crashes, job.attempt) == (State.DEAD, LARGE, 2, 2)
    assert job.error is not None
    assert job.error["code"] == "out-of-memory"
    assert re.fullmatch(
        r"Attempt 2 needed more memory than its limits allow \(needs 5000 MiB\), at .* Attempt 2 was the last one\.",
        job.error["detail"],
    )
    letter = sent.dead_letter(bomb)
    assert (letter.queue, letter.task) == (LARGE, renders.TASK)

    large.kill()
    platform.start_worker("large2", queue=LARGE, **WITH_LARGE)  # which has no hunger: the fix
    replay(platform, bomb)

    job = sent.finished(bomb)
    assert (job.state, job.queue, job.attempt) == (State.SUCCEEDED, LARGE, 3)
    assert sent.letters.peek() == []


def test_given_more_jobs_than_a_tenants_window_then_upkeep_lets_them_in_as_the_queue_moves_on(
    platform: Platform, sent: Renders
) -> None:
    held = [sent.make() for _ in range(3)]
    for message in held:
        sent.accept(message)
    platform.start_worker()
    platform.start_maintenance(maintenance_interval="0.5", tenant_max_queued="1")

    jobs = [sent.finished(message.job) for message in held]

    assert {(job.state, job.publications) for job in jobs} == {(State.SUCCEEDED, 1)}


def replay(platform: Platform, letter_id: str) -> None:
    """`bulkhead dead replay`, as an operator calls it."""
    done = subprocess.run(
        [sys.executable, "-m", "bulkhead", "dead", "replay", letter_id],
        cwd=ROOT,
        env=platform._with({}),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stdout) == (0, f"{letter_id} is on its way again.\n"), done.stderr
