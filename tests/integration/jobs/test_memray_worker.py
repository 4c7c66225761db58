"""A worker under memray, started by the script: captures of its children survive recycling and SIGKILL."""

import os
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

import memray
import pytest

from cli.embedded.programs import worker_program
from tasks.jobs import State
from tasks.messaging.topology import RENDER
from tests.integration.jobs.renders import Renders
from tests.services.faults import leaky
from tests.services.platform import ROOT, Platform

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]

SIDE = 188
LEAK = SIDE * SIDE * 8

JOBS = 4


@pytest.fixture
def captures(platform: Platform, tmp_path: Path) -> Path:
    """The folder with the captures of a running worker that recycles its child after JOBS jobs."""
    folder = tmp_path / "captures"
    environment = platform.environment_with(max_jobs_per_child=str(JOBS), child_niceness="0")
    environment["PYTHON"] = sys.executable
    program = worker_program("render1", RENDER, platform.broker_url, environment, platform.directory)
    script = ("sh", str(ROOT / "profiling" / "worker.sh"), str(folder))
    options = (*program.command[program.command.index("worker") + 1 :], "--include", leaky.__name__)
    platform.start(replace(program, command=(*script, *options)))
    assert f"render1@{socket.gethostname()}" in options
    return folder


def child_of(sent: Renders, job: str) -> int:
    """The process id of the child that ran the job."""
    return int(sent.history(job)[-1].lease_owner.split(":")[1])


def leaked_by_clones(capture: Path) -> int:
    """Bytes allocated for pictures and not freed."""
    with memray.FileReader(capture) as reader:
        sizes = [
            record.size
            for record in reader.get_leaked_allocation_records(merge_threads=True)
            if record.size >= LEAK
            and any("Magick" in frame[0] or "libMagick" in frame[1] for frame in record.hybrid_stack_trace())
        ]
    return sum(sizes)


def test_given_recycled_and_killed_children_then_their_captures_show_the_leaks(captures: Path, sent: Renders) -> None:
    recycled = [leaky.publish(sent.publisher, side=SIDE, leaks=True) for _ in range(JOBS)]
    assert {sent.finished(job).state for job in recycled} == {State.SUCCEEDED}
    more = [leaky.publish(sent.publisher, side=SIDE, leaks=True) for _ in range(JOBS - 1)]
    assert {sent.finished(job).state for job in more} == {State.SUCCEEDED}
    killed = child_of(sent, more[0])

    os.kill(killed, signal.SIGKILL)
    last = sent.finished(leaky.publish(sent.publisher, side=SIDE, leaks=False))

    assert last.state is State.SUCCEEDED
    assert leaked_by_clones(captures / f"worker.bin.{child_of(sent, recycled[0])}") >= JOBS * LEAK
    assert leaked_by_clones(captures / f"worker.bin.{killed}") >= (JOBS - 1) * LEAK
