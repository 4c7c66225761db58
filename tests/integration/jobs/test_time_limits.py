"""Time limits of renders: guilt by processor time, never by a slow or frozen host."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from benchmarks.support import drawings
from tasks import renders
from tasks.jobs import Attempt, State
from tests.integration.jobs.renders import HEAVY, Renders, eventually
from tests.services.platform import Platform
from tests.system.storms import faulty_engine
from tests.system.storms.faulty_engine import HANG, REST, WORK, svg_with_fault

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

FAULTY = ("--include", faulty_engine.__name__)
NORMAL_PRIORITY = {"child_niceness": "0"}

# Seconds.
FROZEN = 6.0


def submit_faulty(sent: Renders, kind: str) -> str:
    """Submit a drawing with a fault. Returns the id of its job."""
    message = sent.make(filename="sheet.svg")
    sent.store.put(message.source, svg_with_fault(drawings.svg(1), kind, 30))
    sent.accept(message)
    sent.publish(message)
    return message.job


def matches(attempt: Attempt, predicate: str) -> bool:
    """Whether the explanation of the attempt has the predicate, its memory and its stage."""
    sentence = rf"Attempt {attempt.number} {predicate} at [\d.,]+ MiB while [a-z ]+( \(planned [\d.,]+ MiB\))?\."
    return re.fullmatch(sentence, attempt.explanation or "") is not None


@pytest.fixture
def busy_host() -> Iterator[None]:
    """Four busy loops a core."""
    loop = [sys.executable, "-c", "while True: pass"]
    loops = [subprocess.Popen(loop) for _ in range(4 * (os.cpu_count() or 1))]
    yield
    for process in loops:
        process.kill()
        process.wait()


def test_given_a_render_that_computes_beyond_its_time_limit_then_it_is_retried_and_finally_dead(
    platform: Platform, sent: Renders
) -> None:
    platform.start_worker("render1", *FAULTY, render_time_limit="2", **NORMAL_PRIORITY)

    job = sent.finished(submit_faulty(sent, WORK))

    assert (job.state, job.crashes) == (State.DEAD, 3)
    history = sent.history(job.id)
    assert [attempt.cause for attempt in history] == ["time-limit"] * 3
    for attempt in history:
        assert matches(attempt, r"was stopped at its time limit of 2 s of processor time, after \d+ s,")
        assert 1.9 <= (attempt.facts or {})["cpu_seconds"] < 3.5
    assert len({attempt.lease_owner for attempt in history}) == 1
    assert job.error == {"code": "time-limit", "detail": f"{history[2].explanation} Attempt 3 was the last one."}
    assert sent.dead_letter(job.id).task == renders.TASK


def test_given_a_render_that_sleeps_without_progress_then_it_hangs_and_is_finally_dead(
    platform: Platform, sent: Renders
) -> None:
    platform.start_worker("render1", *FAULTY, render_idle_limit="2", **NORMAL_PRIORITY)

    job = sent.finished(submit_faulty(sent, HANG))

    assert (job.state, job.crashes, job.attempt) == (State.DEAD, 3, 3)
    history = sent.history(job.id)
    assert [attempt.cause for attempt in history] == ["hung"] * 3
    for attempt in history:
        assert matches(attempt, "was stopped because it neither computed nor made progress for 2 s,")
    assert job.error == {"code": "hung", "detail": f"{history[2].explanation} Attempt 3 was the last one."}


def test_given_a_render_that_sleeps_and_makes_progress_then_it_goes_on_until_the_wall_limit_returns_it(
    platform: Platform, sent: Renders
) -> None:
    platform.start_worker(
        "render1", *FAULTY, render_idle_limit="1", render_wall_limit="4", render_time_limit="3", **NORMAL_PRIORITY
    )
    job_id = submit_faulty(sent, REST)

    child = sent.child_at(job_id)
    eventually(lambda: sent.history(job_id)[0].ended_at)

    job = sent.find(job_id)
    assert (job.state, job.crashes, job.worker_losses) == (State.QUEUED, 0, 0)
    (attempt,) = sent.history(job_id)
    assert attempt.cause == "starved"
    predicate = r"was stopped after 4 s, in which the host gave it \d s of processor time,"
    assert matches(attempt, predicate), attempt.explanation
    assert f":{child}:" in attempt.lease_owner


@pytest.mark.parametrize("victim", ["render", "worker"])
def test_given_a_worker_frozen_for_longer_than_all_limits_then_its_render_goes_on_and_no_crash_is_counted(
    platform: Platform, sent: Renders, victim: str
) -> None:
    worker = platform.start_worker(
        render_time_limit="60", render_idle_limit="2", render_wall_limit="600", **NORMAL_PRIORITY
    )
    job_id = sent.submit(HEAVY)
    render = psutil.Process(sent.render_at(job_id))
    parent = psutil.Process(worker.pid)
    frozen = [render] if victim == "render" else [parent, *parent.children(recursive=True)]

    for process in frozen:
        process.send_signal(signal.SIGSTOP)
    time.sleep(FROZEN)
    for process in frozen:
        process.send_signal(signal.SIGCONT)

    job = sent.finished(job_id)
    assert (job.state, job.crashes) == (State.SUCCEEDED, 0), sent.history(job_id)


@pytest.mark.usefixtures("busy_host")
def test_given_a_host_with_four_busy_loops_a_core_then_a_render_below_its_time_limit_is_not_condemned(
    platform: Platform, sent: Renders
) -> None:
    platform.start_worker(render_time_limit="5", render_idle_limit="2", **NORMAL_PRIORITY)
    job = sent.finished(sent.submit(HEAVY // 4), timeout=150)

    assert (job.state, job.crashes, job.attempt) == (State.SUCCEEDED, 0, 1)
    (attempt,) = sent.history(job.id)
    facts = attempt.facts or {}
    assert facts["seconds"] > facts["cpu_seconds"]
