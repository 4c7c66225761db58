"""Leak detection for a real worker, from the ledger only: leaking jobs are found, clean ones are not reported."""

import json
import subprocess
import sys

import pytest

from cli.embedded.process import Process
from tasks.jobs import State
from tasks.renders import ENGINE_VERSION
from tests.integration.jobs.renders import Renders, eventually
from tests.services.faults import leaky
from tests.services.platform import ROOT, Platform
from workers.runtime.leak_sampling import MAX_REPORTS

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

# Pixels: 188 x 188 of 8 bytes are 282,752 bytes a job.
SIDE = 188

NORMAL_PRIORITY = {"child_niceness": "0"}


@pytest.fixture
def worker(platform: Platform) -> Process:
    """A worker that samples every job, and evaluates the leaks anew in a child that starts after 40 jobs."""
    settings = {"max_jobs_per_child": "40", "leak_sample_every": "1", **NORMAL_PRIORITY}
    return platform.start_worker("render1", "--include", leaky.__name__, **settings)


def status(platform: Platform) -> tuple[int, dict[str, list[dict[str, object]]]]:
    """Run `bulkhead leaks status`."""
    completed = subprocess.run(
        [sys.executable, "-m", "cli", "leaks", "status", "--json"],
        cwd=ROOT,
        env=platform.environment_with(),
        capture_output=True,
        text=True,
        check=False,
    )
    return completed.returncode, json.loads(completed.stdout)


def test_given_jobs_that_leak_then_the_finding_is_certain_and_a_job_is_profiled_in_the_sandbox(
    platform: Platform, worker: Process, sent: Renders
) -> None:
    for leaks in (False, True):
        ids = [leaky.publish(sent.publisher, side=SIDE, leaks=leaks) for _ in range(20)]
        assert {sent.finished(job).state for job in ids} == {State.SUCCEEDED}

    facts = sent.history(ids[0])[0].facts or {}
    assert facts["pixel_bytes"] == 282_752
    assert 282_752 <= facts["heap_leaked_bytes"] < 400_000

    exit_code, output = status(platform)

    assert exit_code == 1
    leaking, clean = output["findings"]
    assert (leaking["format"], leaking["confidence"], leaking["resource"]) == ("leaky", "certain", "pixels")
    assert (leaking["jobs"], leaking["leaking_jobs"]) == (20, 20)
    assert 282_752 <= int(str(leaking["leaked_bytes"])) < 400_000
    assert (clean["format"], clean["confidence"], clean["leaking_jobs"]) == ("clean", "clean", 0)

    for number in range(MAX_REPORTS - 1):
        sent.store.put(f"leaks/leaky/{ENGINE_VERSION}/earlier{number}.html", b"")
    profiled = [leaky.publish(sent.publisher, side=SIDE, leaks=True) for _ in range(2)]
    assert {sent.finished(job).state for job in profiled} == {State.SUCCEEDED}

    eventually(lambda: len(list(sent.store.list("leaks/leaky"))) == MAX_REPORTS)
    with sent.store.open_read(f"leaks/leaky/{ENGINE_VERSION}/{profiled[0]}.html") as report:
        assert b"CloneMagickWand" in report.read()
    assert ["heap_leaked_bytes" in (sent.history(job)[0].facts or {}) for job in profiled] == [False, True]
    assert " renders of leaky left memory or files behind: " in worker.log.read_text()


@pytest.mark.usefixtures("worker")
def test_given_a_sampled_render_then_its_outputs_and_what_a_second_render_left_are_recorded(
    platform: Platform, sent: Renders
) -> None:
    job = sent.finished(sent.submit())

    assert job.state is State.SUCCEEDED
    assert sent.manifest(job).is_file()
    facts = sent.history(job.id)[0].facts or {}
    assert (facts["pixel_bytes"], facts["descriptor_growth"]) == (0, 0)
    assert abs(facts["heap_leaked_bytes"]) < 100_000
    assert list((platform.settings.var / "work").glob("*/tmp")) == []


def test_given_a_sample_that_dies_then_the_job_succeeds_all_the_same(worker: Process, sent: Renders) -> None:
    job = sent.finished(leaky.publish(sent.publisher, side=SIDE, leaks=True, sample_dies=True))

    assert (job.state, job.crashes, job.attempt) == (State.SUCCEEDED, 0, 1)
    facts = sent.history(job.id)[0].facts or {}
    assert facts["pixel_bytes"] == 282_752
    assert "heap_leaked_bytes" not in facts
    assert f"Job {job.id} is not sampled for leaks: The process crashed in native code with SIGSEGV." in (
        worker.log.read_text()
    )
