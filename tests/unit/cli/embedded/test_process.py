import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cli.embedded.process import LOG_LIMIT, NotInstalled, Process, Program, StartCancelled, StartFailed, find_program
from tests.services.processes import is_gone

FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, "ready", flush=True)
time.sleep(60)
"""

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""


def program(code: str, log: Path, *, stop_timeout: float = 5, **environment: str) -> Program:
    """A Python program that is ready when it has printed a line."""
    return Program(
        "program",
        (sys.executable, "-c", code),
        is_ready=lambda: "ready\n" in log.read_text(),
        environment=environment,
        start_timeout=5,
        stop_timeout=stop_timeout,
    )


@pytest.fixture
def started() -> Iterator[list[Process]]:
    processes: list[Process] = []
    yield processes
    for process in processes:
        process.kill()


def start(code: str, tmp_path: Path, started: list[Process], *, stop_timeout: float = 5, **environment: str) -> Process:
    process = Process(program(code, tmp_path / "program.log", stop_timeout=stop_timeout, **environment), logs=tmp_path)
    process.start()
    started.append(process)
    return process


def test_given_a_process_with_a_child_when_it_is_stopped_then_both_are_gone(
    tmp_path: Path, started: list[Process]
) -> None:
    process = start(FAMILY, tmp_path, started)
    process.wait_ready()
    child = psutil.Process(int(process.log.read_text().split()[0]))

    process.stop()

    assert process.describe_exit() == "it was killed by SIGTERM"
    assert is_gone(child)


def test_given_a_killed_process_when_its_exit_is_noticed_then_its_child_is_gone_too(
    tmp_path: Path, started: list[Process]
) -> None:
    process = start(FAMILY, tmp_path, started)
    process.wait_ready()
    child = psutil.Process(int(process.log.read_text().split()[0]))

    os.kill(process.pid, signal.SIGKILL)
    while process.describe_exit() is None:
        time.sleep(0.01)

    assert process.describe_exit() == "it was killed by SIGKILL"
    assert is_gone(child)


def test_given_a_process_that_ignores_sigterm_when_it_is_stopped_then_it_is_killed_after_the_timeout(
    tmp_path: Path, started: list[Process]
) -> None:
    process = start(STUBBORN, tmp_path, started, stop_timeout=0.3)
    process.wait_ready()

    process.stop()

    assert process.describe_exit() == "it was killed by SIGKILL"


def test_given_a_process_that_exits_at_once_when_it_is_waited_for_then_the_error_shows_the_end_of_its_log(
    tmp_path: Path, started: list[Process]
) -> None:
    process = start("import sys; sys.exit('no disk')", tmp_path, started)

    with pytest.raises(StartFailed) as failure:
        process.wait_ready()

    assert str(failure.value) == (
        f"program did not start: it ended with exit code 1. The last lines of {process.log}:\n  no disk"
    )


def test_given_a_slow_process_when_the_user_cancels_then_waiting_ends(tmp_path: Path, started: list[Process]) -> None:
    process = start("import time; time.sleep(60)", tmp_path, started)

    with pytest.raises(StartCancelled):
        process.wait_ready(cancelled=lambda: True)


def test_given_a_secret_in_the_environment_then_it_is_not_in_the_arguments(
    tmp_path: Path, started: list[Process]
) -> None:
    process = start(
        "import os, time; print(os.environ['SECRET'], 'ready', flush=True); time.sleep(60)",
        tmp_path,
        started,
        SECRET="hush-hush",
    )
    process.wait_ready()

    assert "hush-hush" in process.log.read_text()
    assert "hush-hush" not in " ".join(psutil.Process(process.pid).cmdline())


def test_given_a_long_log_when_the_process_starts_then_it_is_rotated(tmp_path: Path, started: list[Process]) -> None:
    (tmp_path / "program.log").write_bytes(b"x" * (LOG_LIMIT + 1))

    process = start("import time; print('ready', flush=True); time.sleep(60)", tmp_path, started)
    process.wait_ready()

    assert process.log.read_text() == "ready\n"
    assert (tmp_path / "program.log.old").stat().st_size == LOG_LIMIT + 1


def test_given_a_missing_program_when_it_is_searched_then_the_error_says_how_to_install_it() -> None:
    with pytest.raises(NotInstalled) as failure:
        find_program("/nowhere/rabbitmq-server", "rabbitmq-server", "set BULKHEAD_BROKER_URL to a RabbitMQ of yours")

    assert str(failure.value) == (
        "rabbitmq-server is not installed. Install it with `apt-get install rabbitmq-server`, "
        "or set BULKHEAD_BROKER_URL to a RabbitMQ of yours."
    )
