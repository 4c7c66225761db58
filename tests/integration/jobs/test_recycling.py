"""A real worker whose jobs leak: its children are replaced between two jobs, and nobody need kill one."""

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tasks.jobs import State
from tasks.messaging.inspect_workers import inspect_workers
from tests.integration.jobs.renders import Renders
from tests.services.faults import leaky
from tests.services.platform import Platform
from workers.sandbox.leaf_cgroup import Cgroup, leaf_cgroup

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]

MIB = 1024**2

# A job leaves 8 MB behind, and a child may gain 16: together the jobs leak twice what the worker's cell holds.
SIDE = 1024
JOBS = 40
CELL = 160 * MIB
GROWTH = 16 * MIB

QUICK = {"child_niceness": "0"}  # others may be at work on the machine


@pytest.fixture
def small() -> Iterator[Cgroup]:
    with leaf_cgroup(CELL) as made:
        if made is None:
            pytest.skip("no memory cgroup can be made here; run as root or in a delegated cgroup")
        yield made


def test_given_jobs_that_leak_then_the_worker_stays_inside_its_fence_by_replacing_children_alone(
    small: Cgroup, platform: Platform, sent: Renders
) -> None:
    worker = platform.start_worker("render1", "--include", leaky.__name__, max_child_memory_growth=str(GROWTH), **QUICK)
    for process in (psutil.Process(worker.pid), *psutil.Process(worker.pid).children()):
        assert small.add(process.pid)

    ids = [leaky.publish(sent.publisher, side=SIDE, leaks=True) for _ in range(JOBS)]
    jobs = [sent.finished(job, 30) for job in ids]

    assert {(job.state, job.attempt, job.worker_losses) for job in jobs} == {(State.SUCCEEDED, 1, 0)}
    assert small.oom_kills() == 0
    assert len({sent.history(job)[0].lease_owner for job in ids}) >= JOBS * 8 * MIB // CELL
    log = worker.log.read_text()
    assert "is replaced. It holds " in log
    assert "more than when it began." in log


def test_given_a_worker_at_work_then_no_native_library_runs_in_its_parent(platform: Platform, sent: Renders) -> None:
    worker = platform.start_worker(**QUICK)
    sent.finished(sent.submit())
    parent, (child,) = psutil.Process(worker.pid), psutil.Process(worker.pid).children()

    assert parent.num_threads() == 1
    assert any("MagickWand" in mapped.path for mapped in parent.memory_maps())
    assert not any("libvips" in mapped.path for mapped in parent.memory_maps())
    assert Path(f"/proc/{child.pid}/oom_score_adj").read_text() == "800\n"


def test_given_a_child_of_age_then_it_is_replaced_once_its_job_is_over(platform: Platform, sent: Renders) -> None:
    worker = platform.start_worker(max_child_age="1", **QUICK)
    time.sleep(1.5)

    jobs = [sent.finished(sent.submit()) for _ in range(2)]

    assert {(job.state, job.attempt) for job in jobs} == {(State.SUCCEEDED, 1)}
    assert len({sent.history(job.id)[0].lease_owner for job in jobs}) == 2
    (told,) = inspect_workers(sent.app, timeout=2)
    assert told.recycled >= 1
    assert told.crashed == 0
    assert told.memory.current is None or told.memory.current > 0
    assert "s old." in worker.log.read_text()
