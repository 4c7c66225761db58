"""A child in the sandbox: its reports, its limits, and how its end is explained. Each test runs a real process."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from workers.sandbox.child import MAX_LINE_BYTES, ExitInfo, Limits, Report, run

from workers.sandbox.causes import Cause
from workers.sandbox.leaf_cgroup import leaf_cgroup

MIB = 1024 * 1024
LIMITS = Limits(memory=256 * MIB, time_limit=30)

MEMORY_HOG = """
import time
blocks = []
for _ in range(60):
    blocks.append(b"x" * (8 << 20))
    time.sleep(0.01)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def no_process_remains() -> Iterator[None]:
    before = {child.pid for child in psutil.Process().children()}
    yield
    assert {child.pid for child in psutil.Process().children()} <= before


def start(program: str, limits: Limits = LIMITS, *, cgroups: Path | None = None) -> tuple[ExitInfo, list[Report]]:
    reports: list[Report] = []
    argv = [sys.executable, "-c", program]
    if cgroups is None:
        return run(argv, limits, reports.append), reports
    return run(argv, limits, reports.append, cgroup_root=cgroups), reports


def test_given_a_child_that_reports_when_it_succeeds_then_all_reports_arrive_in_order() -> None:
    exit_info, reports = start("for n in range(1000): print('{\"percent\": %d}' % n)")
    assert exit_info.status == 0
    assert exit_info.death is None
    assert [report["percent"] for report in reports] == list(range(1000))


def test_given_other_output_on_standard_output_then_it_is_ignored() -> None:
    exit_info, reports = start(
        f"print('libfoo: warning'); print('[1]'); print('x' * {3 * MAX_LINE_BYTES}); print('{{\"a\": 1}}')"
    )
    assert exit_info.death is None
    assert reports == [{"a": 1}]


def test_given_a_last_report_without_a_newline_then_it_is_ignored_as_incomplete() -> None:
    _ending, reports = start('import sys; sys.stdout.write(\'{"a": 1}\\n{"a": 2}\')')
    assert reports == [{"a": 1}]


def test_given_a_child_that_never_ends_then_it_is_stopped_at_the_time_limit() -> None:
    exit_info, _reports = start("import time; time.sleep(60)", Limits(memory=256 * MIB, time_limit=0.3))
    assert exit_info.status == -signal.SIGKILL
    assert exit_info.death is not None
    assert exit_info.death.cause is Cause.TIME_LIMIT
    assert exit_info.death.explanation == "The process was still running after its time limit of 0.3 s."


def test_given_a_child_that_closes_its_pipe_and_hangs_then_it_is_stopped_at_the_time_limit() -> None:
    exit_info, _reports = start(
        "import os, time; os.close(1); time.sleep(60)", Limits(memory=256 * MIB, time_limit=0.5)
    )
    assert exit_info.death is not None
    assert exit_info.death.cause is Cause.TIME_LIMIT


def test_given_a_child_over_the_memory_limit_in_a_cgroup_then_the_kernel_kills_it_and_the_cgroup_is_removed() -> None:
    with leaf_cgroup(64 * MIB) as cgroup:
        if cgroup is None:
            pytest.skip("no cgroup can be created here: this needs root or a delegated subtree")
        parent = cgroup.path.parent
    exit_info, _reports = start(MEMORY_HOG, Limits(memory=64 * MIB, time_limit=30))
    assert exit_info.death is not None
    assert exit_info.death.cause is Cause.OUT_OF_MEMORY
    assert exit_info.death.explanation == "The kernel killed the process because it exceeded its memory limit."
    assert not [path for path in parent.iterdir() if path.name.startswith(f"bulkhead-{os.getpid()}-")]


def test_given_a_child_over_the_memory_limit_without_a_cgroup_then_the_supervisor_kills_it(tmp_path: Path) -> None:
    exit_info, _reports = start(MEMORY_HOG, Limits(memory=64 * MIB, time_limit=30), cgroups=tmp_path)
    assert exit_info.status == -signal.SIGKILL
    assert exit_info.death is not None
    assert exit_info.death.cause is Cause.OUT_OF_MEMORY
    assert exit_info.death.explanation == "It was stopped because its resident set exceeded the memory limit."
    assert exit_info.resident > 64 * MIB
    assert not list(tmp_path.iterdir())


def test_given_a_child_killed_from_outside_then_the_cause_says_so() -> None:
    exit_info, _reports = start("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert exit_info.death is not None
    assert exit_info.death.cause is Cause.KILLED


def test_given_a_child_that_aborts_then_the_cause_is_a_crash() -> None:
    exit_info, _reports = start("import os; os.abort()")
    assert exit_info.death is not None
    assert exit_info.death.cause is Cause.CRASH
    assert exit_info.death.explanation == "The process crashed in native code with SIGABRT."


def test_given_a_callback_that_raises_then_the_child_is_killed() -> None:
    def fail(_report: Report) -> None:
        raise RuntimeError("enough")

    program = "import time; print('{}', flush=True); time.sleep(60)"
    with pytest.raises(RuntimeError, match="enough"):
        run([sys.executable, "-c", program], LIMITS, fail)


def test_given_a_child_then_its_peak_resident_set_is_reported() -> None:
    exit_info, _reports = start("import time; b'x' * (50 << 20); time.sleep(0.3)")
    assert 50 * MIB < exit_info.peak < 256 * MIB
    assert exit_info.resident < 50 * MIB


def test_given_an_unknown_program_then_the_error_names_it() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        run(["/no-such-program"], LIMITS, lambda _report: None)
