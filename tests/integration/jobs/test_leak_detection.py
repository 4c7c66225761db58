"""Leak detection for a real worker, from the ledger only: leaking jobs are found, clean ones are not reported."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.jobs import State
from tests.integration.jobs.renders import Renders, eventually
from tests.services.faults import leaky
from tests.services.platform import ROOT, Platform

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]

# Pixels: 188 x 188 of 8 bytes are 282,752 bytes a job.
SIDE = 188

NORMAL_PRIORITY = {"child_niceness": "0"}


@pytest.fixture
def worker_log(platform: Platform) -> Path:
    """A worker that profiles every job of a suspected format, and recycles its child after 30 jobs."""
    settings = {"max_jobs_per_child": "30", "leak_sample_every": "1", **NORMAL_PRIORITY}
    return platform.start_worker("render1", "--include", leaky.__name__, **settings).log


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


def test_given_jobs_that_leak_then_the_finding_is_certain_and_one_job_is_profiled(
    platform: Platform, worker_log: Path
) -> None:
    sent = Renders(platform)
    try:
        for leaks in (False, True):
            ids = [leaky.publish(sent.publisher, side=SIDE, leaks=leaks) for _ in range(30)]
            assert {sent.finished(job).state for job in ids} == {State.SUCCEEDED}

        exit_code, output = status(platform)

        assert exit_code == 1
        leaking, clean = output["findings"]
        assert (leaking["format"], leaking["confidence"], leaking["resource"]) == ("leaky", "certain", "pixels")
        assert 282_752 <= int(str(leaking["leaked_bytes"])) < 400_000
        assert (clean["format"], clean["confidence"]) == ("clean", "clean")

        sent.finished(leaky.publish(sent.publisher, side=SIDE, leaks=True))
        key = eventually(lambda: next(iter(sent.store.list("leaks/leaky")), None))

        with sent.store.open_read(key) as report:
            assert b"CloneMagickWand" in report.read()
        assert " renders of leaky left memory or files behind: " in worker_log.read_text()
    finally:
        sent.close()
