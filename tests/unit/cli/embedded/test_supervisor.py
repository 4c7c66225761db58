import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cli.embedded.orphans import kill_orphans
from cli.embedded.process import SUPERVISOR_VARIABLE, Program, StartFailed, supervisor_id
from cli.embedded.supervisor import BACKOFF, BACKOFF_RESET_AFTER, Supervisor
from tests.services.processes import is_gone

SLEEP = "import time; time.sleep(60)"


def sleeper(name: str, code: str = SLEEP) -> Program:
    return Program(name, (sys.executable, "-c", code), is_ready=lambda: True, start_timeout=5, stop_timeout=5)


@pytest.mark.parametrize(("crashes", "seconds"), [(1, 0.5), (2, 1.0), (3, 2.0), (6, 16.0), (7, 30.0)])
def test_given_consecutive_crashes_then_the_restart_delay_doubles_up_to_a_limit(crashes: int, seconds: float) -> None:
    assert BACKOFF.delay(crashes) == seconds


def test_given_two_stages_when_they_are_stopped_then_the_last_stage_stops_first(tmp_path: Path) -> None:
    reported: list[str] = []
    with Supervisor(
        [[sleeper("broker")], [sleeper("worker"), sleeper("web")]], tmp_path, report=reported.append
    ) as running:
        processes = [psutil.Process(running.process(name).pid) for name in ("broker", "worker", "web")]

    assert [line.split()[0] for line in reported] == ["broker", "worker", "web", "stopping", "worker", "web", "broker"]
    assert psutil.wait_procs(processes, timeout=1)[1] == []


def test_given_a_stage_that_does_not_start_then_the_error_says_why_and_nothing_is_left_running(
    tmp_path: Path,
) -> None:
    reported: list[str] = []
    broken = Program("broken", (sys.executable, "-c", "raise SystemExit(7)"), is_ready=lambda: False, start_timeout=5)

    with pytest.raises(StartFailed, match="broken did not start: it ended with exit code 7"):
        Supervisor([[sleeper("broker")], [broken]], tmp_path, report=reported.append).start()

    assert reported[-1] == "broker stopped"


def test_given_a_crashed_program_when_it_is_checked_then_it_is_restarted_after_the_delay(tmp_path: Path) -> None:
    now = 0.0
    reported: list[str] = []
    with Supervisor([[sleeper("worker")]], tmp_path, report=reported.append, clock=lambda: now) as supervisor:
        process = supervisor.process("worker")
        first = process.pid
        os.kill(first, signal.SIGKILL)
        wait_until_zombie(first)

        supervisor.check_all()
        assert process.pid == first
        now = 0.6
        supervisor.check_all()

        assert process.pid != first
        assert process.describe_exit() is None
    log = tmp_path / "worker.log"
    assert f"worker: it was killed by SIGKILL. Restarting it in 0.5 s; see {log}" in reported


def test_given_a_program_that_ran_for_a_while_when_it_crashes_again_then_the_delay_is_reset(tmp_path: Path) -> None:
    now = 0.0
    reported: list[str] = []
    with Supervisor([[sleeper("worker")]], tmp_path, report=reported.append, clock=lambda: now) as supervisor:
        process = supervisor.process("worker")
        for moment in (1.0, 3.0, 5.0 + BACKOFF_RESET_AFTER):
            now = moment
            os.kill(process.pid, signal.SIGKILL)
            wait_until_zombie(process.pid)
            supervisor.check_all()
            now += 1.0
            supervisor.check_all()

    assert [line.split(" in ")[1].split(";")[0] for line in reported if "Restarting" in line] == [
        "0.5 s",
        "1 s",
        "0.5 s",
    ]


def test_given_a_stop_request_during_the_start_then_no_more_programs_are_started(tmp_path: Path) -> None:
    never = Program("never", (sys.executable, "-c", SLEEP), is_ready=lambda: False, start_timeout=60)
    supervisor = Supervisor([[never], [sleeper("web")]], tmp_path)
    supervisor.request_stop()

    with supervisor:
        supervisor.run_until_stopped()

    with pytest.raises(RuntimeError, match="web was not started"):
        _ = supervisor.process("web").pid


# Starts a supervisor with one program, and prints the process id that the program printed.
PARENT = """
import sys, time
from pathlib import Path
from cli.embedded.process import Program
from cli.embedded.supervisor import Supervisor

logs = Path(sys.argv[1])
log = logs / "program.log"
program = Program("program", (sys.executable, "-c", sys.argv[2]), is_ready=lambda: log.read_text().endswith("\\n"))
with Supervisor([[program]], logs):
    print(log.read_text(), flush=True)
    time.sleep(60)
"""

OBEDIENT = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"

ESCAPING = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(60)
"""


def orphan(code: str, logs: Path) -> psutil.Process:
    """A process whose supervisor was killed with SIGKILL."""
    with subprocess.Popen([sys.executable, "-c", PARENT, logs, code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        process = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    return process


def test_given_a_supervisor_when_it_is_killed_then_its_programs_die_with_it(tmp_path: Path) -> None:
    assert is_gone(orphan(OBEDIENT, tmp_path))


def test_given_a_process_that_outlived_its_supervisor_when_orphans_are_killed_then_it_is_gone(
    tmp_path: Path,
) -> None:
    stray = orphan(ESCAPING, tmp_path / "log")

    assert kill_orphans(tmp_path / "other") == []
    assert stray.pid in kill_orphans(tmp_path / "log")

    assert is_gone(stray)


def test_given_an_orphan_that_exits_during_the_search_then_there_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = tmp_path / "log"
    argv = [sys.executable, "-c", f"print(flush=True); {SLEEP}"]
    with subprocess.Popen(
        argv, env={**os.environ, SUPERVISOR_VARIABLE: supervisor_id(logs)}, stdout=subprocess.PIPE
    ) as orphaned:
        assert orphaned.stdout is not None
        orphaned.stdout.readline()

        def processes() -> Iterator[psutil.Process]:
            yield psutil.Process(orphaned.pid)
            orphaned.kill()
            orphaned.wait()

        monkeypatch.setattr(psutil, "process_iter", processes)

        assert kill_orphans(logs) == [orphaned.pid]


def wait_until_zombie(pid: int) -> None:
    while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
