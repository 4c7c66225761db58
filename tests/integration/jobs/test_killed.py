"""A job that the OOM killer ends: its explanation in the ledger, over HTTP, in the log and on the command line."""

import os
import re
import subprocess
import sys

import httpx
import pytest

from tasks.jobs import State
from tests.integration.jobs.renders import Renders
from tests.services.faults import bomb
from tests.services.platform import ROOT, Platform
from tests.services.processes import trusted_child_of, zygote_of
from workers.sandbox.leaf_cgroup import leaf_cgroup

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]

MIB = 1024**2
LIMIT = 160 * MIB

SENTENCE = r"Attempt {} was killed by the kernel at (\d+) MiB while encoding layer PIPES \(planned 120 MiB\)\."


def test_given_a_job_over_its_memory_limit_then_every_interface_has_the_same_explanation(
    platform: Platform, sent: Renders
) -> None:
    with leaf_cgroup(LIMIT) as cgroup:
        if cgroup is None:
            pytest.skip("no memory cgroup can be created here; run as root or in a delegated cgroup")
    worker = platform.start_worker("render1", "--include", bomb.__name__, memory_limit=str(LIMIT), child_niceness="0")
    platform.start_web()
    child, zygote = trusted_child_of(worker.pid), zygote_of(worker.pid)

    job = sent.finished(bomb.publish(sent.publisher))

    assert (job.state, job.crashes, job.attempt) == (State.DEAD, 3, 3)
    assert (trusted_child_of(worker.pid), zygote_of(worker.pid)) == (child, zygote)
    history = sent.history(job.id)
    assert [attempt.cause for attempt in history] == ["out-of-memory"] * 3
    assert {int(attempt.lease_owner.split(":")[1]) for attempt in history} == {child.pid}
    for number, attempt in enumerate(history, 1):
        sentence = re.fullmatch(SENTENCE.format(number), attempt.explanation or "")
        assert sentence is not None, attempt.explanation
        assert int(sentence[1]) > 120
        facts = attempt.facts or {}
        assert (facts["stage"], facts["layer"], facts["planned_bytes"]) == ("encode", "PIPES", bomb.PLANNED)
        assert facts["render_cgroup"]["limit_bytes"] == LIMIT
        assert facts["render_cgroup"]["events"]["oom_kill"] == 1

    view = httpx.get(f"{platform.url}/renders/{job.id}").json()
    assert [attempt["explanation"] for attempt in view["attempts"]] == [attempt.explanation for attempt in history]
    assert view["error"] == {
        "code": "out-of-memory",
        "detail": f"{history[2].explanation} Attempt 3 was the last one.",
    }

    for attempt in history:
        assert f"Job {job.id}: {attempt.explanation}" in worker.log.read_text()

    output = subprocess.run(
        [sys.executable, "-m", "cli", "dead", "show", job.id],
        env={**os.environ, **platform.environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert [line.split(": ", 1)[1] for line in output.splitlines()[2:]] == [attempt.explanation for attempt in history]
