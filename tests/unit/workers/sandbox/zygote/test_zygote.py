"""The zygote: what its processes have, and that it, they and their supervisors may die at any time."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.unit.workers.sandbox.support import BODIES, LIMITS, OPTIONS, Sandbox, is_gone, wait_until
from workers.sandbox.causes import Cause
from workers.sandbox.reports import Progress
from workers.sandbox.runner import BodyFailed
from workers.sandbox.zygote import Zygote, ZygoteOptions

REHEARSED = replace(OPTIONS, rehearse=f"{BODIES}:rehearse")


@contextmanager
def running(options: ZygoteOptions, work: Path) -> Iterator[Sandbox]:
    """A zygote of the test alone."""
    zygote = Zygote(options)
    zygote.start()
    try:
        yield Sandbox(zygote, work)
    finally:
        zygote.close()


def children(zygote: Zygote) -> list[int]:
    return [child.pid for child in psutil.Process(zygote.pid).children()]


def at_start(act: Callable[[int], object]) -> Callable[[Progress], None]:
    """Call `act` with the process id that the body `sleep` reports."""

    def on_progress(progress: Progress) -> None:
        act(int(progress.stage))

    return on_progress


def kill_when(condition: Callable[[], object], pid: int) -> None:
    wait_until(condition)
    os.kill(pid, signal.SIGKILL)


def test_given_a_body_then_it_has_its_own_descriptors_only(sandbox: Sandbox, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.touch()

    found = sandbox.run("describe_process", sources=(source,)).value()["descriptors"]

    targets = {target for number, target in found.items() if int(number) > 2}
    assert {str(source), str(sandbox.work)} <= targets
    assert not [target for target in targets if target.startswith("socket:")]
    assert not [target for target in targets if "cgroup" in target]
    assert len([target for target in targets if target.startswith("pipe:")]) == 1


def test_given_a_secret_in_the_environment_then_neither_zygote_nor_body_has_it(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULKHEAD_SECRET", "canary")
    with running(OPTIONS, sandbox.work) as started:
        found = started.run("describe_process").value()
        assert started.zygote.pid is not None
        environment = psutil.Process(started.zygote.pid).environ()

    assert "canary" not in str(environment)
    assert found["secret"] == "None"
    assert set(found["environment"]) <= {*environment, "TMPDIR", "LC_CTYPE"}


def test_given_a_body_then_it_has_a_session_no_core_dump_no_new_privileges_and_its_directory(sandbox: Sandbox) -> None:
    found = sandbox.run("describe_process", niceness=5).value()

    assert found["session"] is True
    assert found["core"] == [0, 0]
    assert found["no_new_privileges"] == 1
    assert found["working_directory"] == str(sandbox.work)
    assert found["environment"]["TMPDIR"] == str(sandbox.work / "tmp")
    assert found["niceness"] == 5
    assert found["parent"] == sandbox.zygote.pid


@pytest.mark.parametrize(
    ("body", "arguments", "error"),
    [("read_file", {"path": "/etc/passwd"}, "PermissionError"), ("open_socket", {}, "PermissionError")],
)
def test_given_a_body_that_reaches_out_then_the_kernel_forbids_it(
    sandbox: Sandbox, body: str, arguments: dict[str, str], error: str
) -> None:
    with pytest.raises(BodyFailed, match=error):
        sandbox.run(body, arguments).value()


def test_given_a_source_then_the_body_can_read_it_and_its_neighbour_not(sandbox: Sandbox, tmp_path: Path) -> None:
    source, neighbour = tmp_path / "source", tmp_path / "neighbour"
    source.write_text("mine")
    neighbour.write_text("of another job")

    assert sandbox.run("read_file", {"path": str(source)}, sources=(source,)).value() == {"text": "mine"}
    with pytest.raises(BodyFailed, match="PermissionError"):
        sandbox.run("read_file", {"path": str(neighbour)}, sources=(source,)).value()


def test_given_a_zygote_that_is_killed_during_a_job_then_nobody_is_to_blame_and_the_next_job_has_a_new_one(
    sandbox: Sandbox,
) -> None:
    zygote = sandbox.zygote.pid
    assert zygote is not None
    pids: list[int] = []

    def kill_zygote(pid: int) -> None:
        pids.append(pid)
        os.kill(zygote, signal.SIGKILL)

    outcome = sandbox.run("sleep", on_progress=at_start(kill_zygote))

    assert outcome.exit_info.death is not None
    assert outcome.exit_info.death.cause is Cause.KILLED
    assert is_gone(pids[0])
    assert sandbox.run("echo", {"a": 1}).value() == {"a": 1}
    assert sandbox.zygote.pid != zygote


def test_given_a_zygote_that_is_killed_while_a_program_runs_then_its_processes_end(sandbox: Sandbox) -> None:
    pids = sandbox.work / "pids"
    script = "sleep 60 & echo $! >new; echo $$ >>new; mv new pids; wait"
    zygote = sandbox.zygote.pid
    assert zygote is not None
    killer = threading.Thread(target=kill_when, args=(pids.exists, zygote))
    killer.start()

    outcome = sandbox.run("", command=("/bin/sh", "-c", script))
    killer.join()

    assert outcome.exit_info.death is not None
    assert outcome.exit_info.death.cause is Cause.KILLED
    left = [int(pid) for pid in pids.read_text().split()]
    assert len(left) == 2
    wait_until(lambda: all(map(is_gone, left)))


def test_given_a_zygote_that_was_killed_between_two_jobs_then_the_next_one_works(sandbox: Sandbox) -> None:
    zygote = sandbox.zygote.pid
    assert zygote is not None
    os.kill(zygote, signal.SIGKILL)
    wait_until(lambda: is_gone(zygote))

    assert sandbox.run("echo", {"a": 1}).value() == {"a": 1}


def test_given_a_supervisor_that_is_killed_then_its_process_ends_and_the_zygote_serves_others(
    sandbox: Sandbox,
) -> None:
    reader, writer = os.pipe()
    supervisor = os.fork()
    if supervisor == 0:
        try:
            sandbox.run("sleep", on_progress=at_start(lambda pid: os.write(writer, b"%d\n" % pid)))
        finally:
            os._exit(0)
    pid = int(os.read(reader, 100))
    assert not is_gone(pid)

    os.kill(supervisor, signal.SIGKILL)
    os.waitpid(supervisor, 0)

    wait_until(lambda: is_gone(pid))
    os.close(reader)
    os.close(writer)
    assert sandbox.run("echo", {"a": 1}).value() == {"a": 1}


def test_given_jobs_at_the_same_time_then_each_has_its_own_process_and_result(sandbox: Sandbox, tmp_path: Path) -> None:
    results: dict[int, object] = {}

    def work(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        own = Sandbox(sandbox.zygote, folder)
        results[number] = own.run("echo", {"number": number}).value()["number"]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert results == {number: number for number in range(20)}


def test_given_a_rehearsal_then_one_process_waits_and_each_job_takes_it(sandbox: Sandbox) -> None:
    with running(REHEARSED, sandbox.work) as started:
        wait_until(lambda: len(children(started.zygote)) == 1)
        [spare] = children(started.zygote)
        pids: list[int] = []
        started.run("sleep", {"seconds": 0}, on_progress=at_start(pids.append))
        wait_until(lambda: len(children(started.zygote)) == 1)

        assert pids == [spare]
        assert children(started.zygote) != pids


def test_given_a_spare_that_is_killed_then_the_next_job_works_and_another_spare_follows(sandbox: Sandbox) -> None:
    with running(REHEARSED, sandbox.work) as started:
        wait_until(lambda: len(children(started.zygote)) == 1)
        os.kill(children(started.zygote)[0], signal.SIGKILL)
        wait_until(lambda: not children(started.zygote))

        assert started.run("echo", {"a": 1}).value() == {"a": 1}
        wait_until(lambda: len(children(started.zygote)) == 1)


def test_given_a_rehearsal_that_fails_then_jobs_work_without_it(sandbox: Sandbox) -> None:
    with running(replace(OPTIONS, rehearse=f"{BODIES}:rehearse_and_raise"), sandbox.work) as started:
        for number in range(5):
            assert started.run("echo", {"number": number}).value() == {"number": number}


def test_given_a_zygote_that_is_closed_then_its_processes_end(sandbox: Sandbox) -> None:
    with running(REHEARSED, sandbox.work) as started:
        wait_until(lambda: len(children(started.zygote)) == 1)
        pids = [*children(started.zygote), started.zygote.pid]

    wait_until(lambda: all(is_gone(pid) for pid in pids if pid is not None))


def test_given_a_process_that_owns_a_zygote_when_it_is_killed_then_the_zygote_ends() -> None:
    reader, writer = os.pipe()
    owner = os.fork()
    if owner == 0:
        zygote = Zygote(OPTIONS)
        zygote.start()
        os.write(writer, b"%d\n" % (zygote.pid or 0))
        time.sleep(60)
        os._exit(0)
    pid = int(os.read(reader, 100))

    os.kill(owner, signal.SIGKILL)
    os.waitpid(owner, 0)

    wait_until(lambda: is_gone(pid))
    os.close(reader)
    os.close(writer)


def test_given_an_interpreter_then_it_runs_the_zygote(sandbox: Sandbox) -> None:
    with running(
        replace(OPTIONS, interpreter=("/usr/bin/env", "WRAPPED=1", sys.executable, "-P")), sandbox.work
    ) as started:
        assert started.run("describe_process", limits=LIMITS).value()["environment"]["WRAPPED"] == "1"
