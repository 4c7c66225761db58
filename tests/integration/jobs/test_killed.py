"""A job that the OOM killer ends: its explanation in the ledger, over HTTP, in the log and on the command line."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import httpx
import psutil
import pytest

from tasks.jobs import State
from tests.integration.jobs.renders import Renders
from tests.services.faults import bomb
from tests.services.platform import ROOT, Platform
from workers.sandbox.leaf_cgroup import Cgroup, leaf_cgroup

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]

MIB = 1024**2
CGROUP_LIMIT = 160 * MIB

SENTENCE = r"Attempt {} was killed by the kernel at (\d+) MiB while encoding layer PIPES \(planned 120 MiB\)\."


@pytest.fixture
def small_cgroup() -> Iterator[Cgroup]:
    with leaf_cgroup(CGROUP_LIMIT) as cgroup:
        if cgroup is None:
            pytest.skip("no memory cgroup can be created here; run as root or in a delegated cgroup")
        yield cgroup


def test_given_a_job_over_its_memory_limit_then_every_interface_has_the_same_explanation(
    small_cgroup: Cgroup, platform: Platform, sent: Renders
) -> None:
    worker = platform.start_worker("render1", "--include", bomb.__name__, child_niceness="0")
    platform.start_web()
    for process in (psutil.Process(worker.pid), *psutil.Process(worker.pid).children()):
        assert small_cgroup.add(process.pid)

    job = sent.finished(bomb.publish(sent.publisher))

    assert (job.state, job.crashes, job.attempt) == (State.DEAD, 3, 3)
    history = sent.history(job.id)
    assert [attempt.cause for attempt in history] == ["out-of-memory"] * 3
    for number, attempt in enumerate(history, 1):
        sentence = re.fullmatch(SENTENCE.format(number), attempt.explanation or "")
        assert sentence is not None, attempt.explanation
        assert int(sentence[1]) > 120
    facts = history[2].facts or {}
    assert (facts["stage"], facts["layer"], facts["planned_bytes"]) == ("encode", "PIPES", bomb.PLANNED)
    assert facts["cgroup"]["limit_bytes"] == CGROUP_LIMIT
    assert facts["cgroup"]["events"]["oom_kill"] == 3 == small_cgroup.oom_kills()

    view = httpx.get(f"{platform.url}/renders/{job.id}").json()
    assert [attempt["explanation"] for attempt in view["attempts"]] == [attempt.explanation for attempt in history]
    assert view["error"] == {
        "code": "out-of-memory",
        "detail": f"{history[2].explanation} Attempt 3 was the last one.",
    }

    assert (
        f"lost its worker child {history[0].lease_owner.split(':')[1]}: {history[0].explanation}"
        in worker.log.read_text()
    )

    output = subprocess.run(
        [sys.executable, "-m", "cli", "dead", "show", job.id],
        env={**os.environ, **platform.environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert [line.split(": ", 1)[1] for line in output.splitlines()[2:]] == [attempt.explanation for attempt in history]
