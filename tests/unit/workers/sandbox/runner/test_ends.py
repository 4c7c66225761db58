"""How the end of a sandboxed process is explained, and who is to blame for it."""

import os
import signal

import psutil
import pytest

from tests.unit.workers.sandbox.support import LIMITS, MIB, Sandbox, is_gone, wait_until
from workers.sandbox import runner
from workers.sandbox.causes import Cause
from workers.sandbox.leaf_cgroup import leaf_cgroup
from workers.sandbox.reports import Progress
from workers.sandbox.watch import Limits

SMALL = Limits(memory=128 * MIB, cpu=30, idle=30, wall=60)


def test_given_a_body_over_its_memory_limit_in_a_cgroup_then_the_kernel_kills_it_and_the_cgroup_is_removed(
    sandbox: Sandbox,
) -> None:
    with leaf_cgroup(64 * MIB) as cgroup:
        if cgroup is None:
            pytest.skip("no cgroup can be created here: this needs root or a delegated subtree")
        parent = cgroup.path.parent

    exit_info = sandbox.run("eat_memory", limits=SMALL).exit_info

    assert exit_info.death is not None
    assert exit_info.death.cause is Cause.OUT_OF_MEMORY
    assert exit_info.death.explanation == "The kernel killed the process because it exceeded its memory limit."
    assert exit_info.memory_events["oom_kill"] == 1
    assert not [path for path in parent.iterdir() if path.name.startswith(f"bulkhead-{os.getpid()}-")]


def test_given_a_body_over_its_memory_limit_without_a_cgroup_then_the_supervisor_kills_it(sandbox: Sandbox) -> None:
    exit_info = sandbox.run("eat_memory", limits=SMALL, uses_cgroup=False).exit_info

    assert exit_info.status == -signal.SIGKILL
    assert exit_info.death is not None
    assert exit_info.death.cause is Cause.OUT_OF_MEMORY
    assert exit_info.death.explanation == "It was stopped because its resident set exceeded the memory limit."
    assert exit_info.resident > SMALL.memory


def test_given_a_body_killed_by_somebody_else_then_the_cause_is_outside(sandbox: Sandbox) -> None:
    def kill(_progress: Progress) -> None:
        for child in psutil.Process(sandbox.zygote.pid).children():
            child.kill()

    death = sandbox.run("report_and_sleep", on_progress=kill).exit_info.death
    assert death is not None
    assert death.cause is Cause.KILLED
    assert death.explanation == "The process was killed from outside with SIGKILL."


@pytest.mark.parametrize(("body", "name"), [("abort", "SIGABRT"), ("crash", "SIGSEGV")])
def test_given_native_code_that_crashes_then_the_cause_is_a_crash(sandbox: Sandbox, body: str, name: str) -> None:
    death = sandbox.death(body)
    assert death.cause is Cause.CRASH
    assert death.explanation == f"The process crashed in native code with {name}."


@pytest.mark.parametrize("status", [1, 7])
def test_given_native_code_that_ends_the_process_then_the_exit_code_is_named(sandbox: Sandbox, status: int) -> None:
    death = sandbox.death("end_process", {"status": status})
    assert death.cause is Cause.CRASH
    assert death.explanation == f"Native code ended the process with exit code {status}."


def test_given_a_body_that_ends_its_process_with_success_then_it_has_no_result(sandbox: Sandbox) -> None:
    outcome = sandbox.run("end_process", {"status": 0})
    assert (outcome.exit_info.death, outcome.value()) == (None, {})


def test_given_a_body_that_computes_then_it_dies_at_its_limit_of_processor_time(sandbox: Sandbox) -> None:
    outcome = sandbox.run("compute", limits=Limits(memory=256 * MIB, cpu=0.5))

    death = outcome.exit_info.death
    assert death is not None
    assert death.cause is Cause.TIME_LIMIT
    assert death.cause.job_at_fault
    assert death.explanation.startswith("The process reached its time limit of 0.5 s of processor time, after ")
    assert 0.5 <= outcome.exit_info.cpu < 1.5
    assert outcome.exit_info.seconds >= outcome.exit_info.cpu * 0.9


@pytest.mark.parametrize(("body", "status"), [("compute", -signal.SIGXCPU), ("ignore_signals", -signal.SIGKILL)])
def test_given_a_supervisor_that_is_late_then_the_kernel_ends_a_body_that_computes(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, body: str, status: int
) -> None:
    monkeypatch.setattr(runner, "INTERVAL", 30)

    exit_info = sandbox.run(body, limits=Limits(memory=256 * MIB, cpu=0.5)).exit_info

    assert exit_info.status == status
    assert exit_info.death is not None
    assert exit_info.death.cause is Cause.TIME_LIMIT


@pytest.mark.parametrize("body", ["sleep", "close_pipe_and_sleep"])
def test_given_a_body_that_sleeps_then_it_is_hung(sandbox: Sandbox, body: str) -> None:
    death = sandbox.death(body, limits=Limits(memory=256 * MIB, cpu=30, idle=0.5))
    assert death.cause is Cause.HUNG
    assert death.cause.job_at_fault
    assert death.explanation == "The process was stopped because it neither computed nor made progress for 0.5 s."


def test_given_a_body_that_reports_while_it_sleeps_then_it_is_not_hung(sandbox: Sandbox) -> None:
    assert sandbox.run("report_and_sleep", limits=Limits(memory=256 * MIB, cpu=30, idle=0.5)).exit_info.death is None


def test_given_a_body_that_exceeds_the_wall_limit_then_the_host_is_to_blame(sandbox: Sandbox) -> None:
    death = sandbox.death("sleep", limits=Limits(memory=256 * MIB, cpu=30, idle=30, wall=0.5))
    assert death.cause is Cause.STARVED
    assert not death.cause.job_at_fault
    assert "in which the host gave it 0 s of processor time" in death.explanation


def test_given_a_file_over_its_limit_then_the_kernel_ends_the_body(sandbox: Sandbox) -> None:
    death = sandbox.death("write_file", {"bytes": 64 * MIB}, Limits(memory=256 * MIB, cpu=30, file=8 * MIB))
    assert death.cause is Cause.QUOTA
    assert death.explanation == "The process wrote a file of more than its size limit."
    assert (sandbox.work / "large").stat().st_size == 8 * MIB


def test_given_many_files_over_the_disk_quota_then_the_body_is_stopped(sandbox: Sandbox) -> None:
    death = sandbox.death("write_files", {"bytes": 64 * MIB}, Limits(memory=256 * MIB, cpu=30, disk=8 * MIB))
    assert death.cause is Cause.QUOTA
    assert death.explanation == "The process was stopped because it wrote more than 8.0 MiB to disk."


def test_given_a_program_that_writes_by_a_process_of_its_own_then_the_disk_quota_holds(sandbox: Sandbox) -> None:
    script = "for n in 1 2 3 4 5 6 7 8; do dd if=/dev/zero of=f$n bs=1M count=4 2>/dev/null; done; sleep 60"
    limits = Limits(memory=256 * MIB, cpu=30, disk=8 * MIB)
    death = sandbox.run("", command=("/bin/sh", "-c", script), limits=limits).exit_info.death
    assert death is not None
    assert death.cause is Cause.QUOTA


@pytest.mark.parametrize(("count", "cause"), [(60, None), (200, Cause.QUOTA)])
def test_given_more_threads_than_a_render_has_then_the_body_is_stopped(
    sandbox: Sandbox, count: int, cause: Cause | None
) -> None:
    death = sandbox.run("start_threads", {"count": count, "seconds": 0.3 if cause is None else 60}).exit_info.death
    assert (death and death.cause) == cause


def test_given_a_flood_of_reports_then_the_body_is_stopped(sandbox: Sandbox) -> None:
    death = sandbox.death("flood")
    assert death.cause is Cause.QUOTA
    assert death.explanation == "The process was stopped because it reported more than 16 MiB of progress."
    assert sandbox.progress == []


def test_given_a_callback_that_raises_then_the_process_is_killed(sandbox: Sandbox) -> None:
    pids = []

    def fail(progress: Progress) -> None:
        pids.append(int(progress.stage))
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        sandbox.run("sleep", on_progress=fail)

    assert is_gone(pids[0])


def test_given_a_body_then_its_peak_resident_set_and_processor_time_are_measured(sandbox: Sandbox) -> None:
    exit_info = sandbox.run("touch_memory", {"bytes": 100 * MIB}).exit_info
    assert 100 * MIB < exit_info.peak < 256 * MIB
    assert exit_info.resident < exit_info.peak
    assert 0 < exit_info.cpu < exit_info.seconds < LIMITS.wall


def test_given_a_program_that_leaves_processes_then_none_remains(sandbox: Sandbox) -> None:
    pids = sandbox.work / "pids"
    script = "sleep 60 & echo $! >pids; setsid sleep 61 & echo $! >>pids; (sleep 62 & echo $! >>pids)"

    outcome = sandbox.run("", command=("/bin/sh", "-c", script))

    assert outcome.exit_info.death is None
    left = [int(pid) for pid in pids.read_text().split()]
    assert len(left) == 3
    wait_until(lambda: all(map(is_gone, left)))
