"""A real worker whose jobs leak: each leak ends with its process, so the worker neither grows nor recycles."""

import time
from pathlib import Path

import psutil
import pytest

from tasks.jobs import State
from tasks.messaging.inspect_workers import inspect_workers
from tests.integration.jobs.renders import HEAVY, Renders
from tests.services.faults import leaky
from tests.services.platform import Platform
from tests.services.processes import sandboxed_of, trusted_child_of, zygote_of
from workers.sandbox.process_stats import anonymous_memory

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

MIB = 1024**2

# A job leaks 8 MiB: 320 MiB in all, five times the growth that a child may have.
SIDE = 1024
JOBS = 40

# Bytes by which a process may grow: its own caches.
GROWTH = 4 * MIB

NORMAL_PRIORITY = {"child_niceness": "0"}  # the machine may be busy

# Libraries that must not be loaded outside the sandbox.
IMAGING = ("libMagick", "libvips", "numpy", "libpdfium", "librsvg", "libcairo", "qpdf", "ezdxf")


def test_given_jobs_that_leak_then_no_process_of_the_worker_grows_and_none_is_recycled(
    platform: Platform, sent: Renders
) -> None:
    worker = platform.start_worker("render1", "--include", leaky.__name__, leak_sample_every="0", child_niceness="0")
    for _ in range(5):  # which fill caches
        sent.finished(leaky.publish(sent.publisher, side=SIDE, leaks=True))
    processes = [psutil.Process(worker.pid), trusted_child_of(worker.pid), zygote_of(worker.pid)]
    before = [anonymous_memory(f"/proc/{process.pid}") for process in processes]

    ids = [leaky.publish(sent.publisher, side=SIDE, leaks=True) for _ in range(JOBS)]
    jobs = [sent.finished(job, 30) for job in ids]

    assert {(job.state, job.attempt, job.worker_losses) for job in jobs} == {(State.SUCCEEDED, 1, 0)}
    assert {(sent.history(job)[0].facts or {})["pixel_bytes"] for job in ids} == {SIDE * SIDE * 8}
    assert {sent.history(job)[0].lease_owner.split(":")[1] for job in ids} == {str(processes[1].pid)}
    assert [psutil.Process(worker.pid), trusted_child_of(worker.pid), zygote_of(worker.pid)] == processes
    growth = [
        anonymous_memory(f"/proc/{process.pid}") - start for process, start in zip(processes, before, strict=True)
    ]
    assert max(growth) < GROWTH, growth
    assert "is recycled" not in worker.log.read_text()


def test_given_a_worker_then_no_native_imaging_is_loaded_outside_its_sandbox(platform: Platform, sent: Renders) -> None:
    worker = platform.start_worker()
    job_id = sent.submit()
    sent.finished(job_id)
    parent, child, zygote = psutil.Process(worker.pid), trusted_child_of(worker.pid), zygote_of(worker.pid)

    assert parent.num_threads() == zygote.num_threads() == 1
    for process in (parent, child):
        loaded = [mapped.path for mapped in process.memory_maps()]
        assert not [path for path in loaded for name in IMAGING if name in path]
        assert Path(f"/proc/{process.pid}/oom_score_adj").read_text() == "0\n"
    assert any("libMagickWand" in mapped.path for mapped in zygote.memory_maps())


def test_given_a_render_then_the_kernel_kills_it_before_its_worker_and_runs_it_last(
    platform: Platform, sent: Renders
) -> None:
    worker = platform.start_worker()
    job_id = sent.submit(HEAVY)
    render, child = psutil.Process(sent.render_at(job_id)), trusted_child_of(worker.pid)

    assert sandboxed_of(worker.pid) == [render]
    assert Path(f"/proc/{render.pid}/oom_score_adj").read_text() == "800\n"
    assert (render.nice(), child.nice()) == (19, 0)


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
