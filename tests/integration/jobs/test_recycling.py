"""A real worker whose jobs leak: its children are recycled between two jobs, and none is killed."""

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

# A job leaks 8 MiB, a child may grow by 16 MiB, and all jobs together leak twice the worker's memory limit.
SIDE = 1024
JOBS = 40
CGROUP_LIMIT = 160 * MIB
GROWTH = 16 * MIB

NORMAL_PRIORITY = {"child_niceness": "0"}  # the machine may be busy


@pytest.fixture
def small_cgroup() -> Iterator[Cgroup]:
    with leaf_cgroup(CGROUP_LIMIT) as cgroup:
        if cgroup is None:
            pytest.skip("no memory cgroup can be created here; run as root or in a delegated cgroup")
        yield cgroup


def test_given_jobs_that_leak_then_recycling_keeps_the_worker_within_its_memory_limit(
    small_cgroup: Cgroup, platform: Platform, sent: Renders
) -> None:
    worker = platform.start_worker(
        "render1", "--include", leaky.__name__, max_child_memory_growth=str(GROWTH), **NORMAL_PRIORITY
    )
    for process in (psutil.Process(worker.pid), *psutil.Process(worker.pid).children()):
        assert small_cgroup.add(process.pid)

    ids = [leaky.publish(sent.publisher, side=SIDE, leaks=True) for _ in range(JOBS)]
    jobs = [sent.finished(job, 30) for job in ids]

    assert {(job.state, job.attempt, job.worker_losses) for job in jobs} == {(State.SUCCEEDED, 1, 0)}
    assert small_cgroup.oom_kills() == 0
    assert len({sent.history(job)[0].lease_owner for job in ids}) >= JOBS * 8 * MIB // CGROUP_LIMIT
    log = worker.log.read_text()
    assert "is recycled. It uses " in log
    assert "more than when it started." in log


def test_given_a_worker_then_no_native_library_runs_in_its_parent(platform: Platform, sent: Renders) -> None:
    worker = platform.start_worker(**NORMAL_PRIORITY)
    sent.finished(sent.submit())
    parent, (child,) = psutil.Process(worker.pid), psutil.Process(worker.pid).children()

    assert parent.num_threads() == 1
    assert any("MagickWand" in mapped.path for mapped in parent.memory_maps())
    assert not any("libvips" in mapped.path for mapped in parent.memory_maps())
    assert Path(f"/proc/{child.pid}/oom_score_adj").read_text() == "800\n"


def test_given_an_old_child_then_it_is_recycled_after_its_job(platform: Platform, sent: Renders) -> None:
    worker = platform.start_worker(max_child_age="1", **NORMAL_PRIORITY)
    time.sleep(1.5)

    jobs = [sent.finished(sent.submit()) for _ in range(2)]

    assert {(job.state, job.attempt) for job in jobs} == {(State.SUCCEEDED, 1)}
    assert len({sent.history(job.id)[0].lease_owner for job in jobs}) == 2
    (worker_stats,) = inspect_workers(sent.app, timeout=2)
    assert worker_stats.recycled >= 1
    assert worker_stats.crashed == 0
    assert worker_stats.memory.current is None or worker_stats.memory.current > 0
    assert "s old." in worker.log.read_text()
