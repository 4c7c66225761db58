"""A fenced child: heard, bounded, explained, and never left behind. Each test runs a real process."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from workers.crash.causes import Cause
from workers.sandbox.child import MAX_LINE_BYTES, ExitInfo, Limits, Report, run
from workers.sandbox.leaf_cgroup import leaf_cgroup

MIB = 1024 * 1024
FENCE = Limits(memory=256 * MIB, time_limit=30)

HOG = """
import time
held = []
for _ in range(60):
    held.append(b"x" * (8 << 20))
    time.sleep(0.01)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    before = {child.pid for child in psutil.Process().children()}
    yield
    assert {child.pid for child in psutil.Process().children()} <= before


def start(program: str, fence: Limits = FENCE, *, cgroups: Path | None = None) -> tuple[ExitInfo, list[Report]]:
    heard: list[Report] = []
    argv = [sys.executable, "-c", program]
    ending = run(argv, fence, heard.append) if cgroups is None else run(argv, fence, heard.append, cgroup_root=cgroups)
    return ending, heard


def test_given_a_child_that_reports_when_it_ends_well_then_every_report_was_heard_in_order() -> None:
    ending, heard = start("for n in range(1000): print('{\"percent\": %d}' % n)")
    assert ending.status == 0
    assert ending.death is None
    assert [report["percent"] for report in heard] == list(range(1000))


def test_given_noise_on_standard_output_then_it_is_no_report() -> None:
    ending, heard = start(
        f"print('libfoo: warning'); print('[1]'); print('x' * {3 * MAX_LINE_BYTES}); print('{{\"a\": 1}}')"
    )
    assert ending.death is None
    assert heard == [{"a": 1}]


def test_given_a_last_report_without_an_end_of_line_then_it_is_dropped_as_torn() -> None:
    _ending, heard = start('import sys; sys.stdout.write(\'{"a": 1}\\n{"a": 2}\')')
    assert heard == [{"a": 1}]


def test_given_a_child_that_never_ends_then_the_time_limit_ends_it() -> None:
    ending, _heard = start("import time; time.sleep(60)", Limits(memory=256 * MIB, time_limit=0.3))
    assert ending.status == -signal.SIGKILL
    assert ending.death is not None
    assert ending.death.cause is Cause.TIME_LIMIT
    assert ending.death.explanation == "It was still running after its time limit of 0.3 s."


def test_given_a_child_that_closes_its_pipe_and_hangs_then_the_time_limit_ends_it() -> None:
    ending, _heard = start("import os, time; os.close(1); time.sleep(60)", Limits(memory=256 * MIB, time_limit=0.5))
    assert ending.death is not None
    assert ending.death.cause is Cause.TIME_LIMIT


def test_given_a_hog_in_a_cgroup_then_the_kernel_ends_it_and_the_cgroup_is_gone() -> None:
    with leaf_cgroup(64 * MIB) as trial:
        if trial is None:
            pytest.skip("no cgroup can be made here: it takes root or a delegated tree")
        parent = trial.path.parent
    ending, _heard = start(HOG, Limits(memory=64 * MIB, time_limit=30))
    assert ending.death is not None
    assert ending.death.cause is Cause.OUT_OF_MEMORY
    assert ending.death.explanation == "The kernel killed it: it needed more memory than its fence allows."
    assert not [path for path in parent.iterdir() if path.name.startswith(f"bulkhead-{os.getpid()}-")]


def test_given_a_hog_and_no_cgroup_then_the_watch_ends_it(tmp_path: Path) -> None:
    ending, _heard = start(HOG, Limits(memory=64 * MIB, time_limit=30), cgroups=tmp_path)
    assert ending.status == -signal.SIGKILL
    assert ending.death is not None
    assert ending.death.cause is Cause.OUT_OF_MEMORY
    assert ending.death.explanation == "It was stopped: its resident set grew beyond its fence."
    assert ending.resident > 64 * MIB
    assert not list(tmp_path.iterdir())


def test_given_a_child_killed_from_outside_then_it_is_not_to_blame() -> None:
    ending, _heard = start("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert ending.death is not None
    assert ending.death.cause is Cause.KILLED


def test_given_a_child_that_aborts_then_it_crashed() -> None:
    ending, _heard = start("import os; os.abort()")
    assert ending.death is not None
    assert ending.death.cause is Cause.CRASH
    assert ending.death.explanation == "Native code crashed it with SIGABRT."


def test_given_a_listener_that_fails_then_the_child_is_ended_too() -> None:
    def refuse(_report: Report) -> None:
        raise RuntimeError("enough")

    program = "import time; print('{}', flush=True); time.sleep(60)"
    with pytest.raises(RuntimeError, match="enough"):
        run([sys.executable, "-c", program], FENCE, refuse)


def test_given_a_child_then_its_largest_resident_set_is_known() -> None:
    ending, _heard = start("import time; b'x' * (50 << 20); time.sleep(0.3)")
    assert 50 * MIB < ending.peak < 256 * MIB
    assert ending.resident < 50 * MIB


def test_given_an_unknown_program_then_starting_it_fails_with_its_name() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        run(["/no-such-program"], FENCE, lambda _report: None)
