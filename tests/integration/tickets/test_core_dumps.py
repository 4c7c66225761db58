"""No process that holds ticket keys writes a core dump when it crashes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from tests.integration.jobs.renders import eventually
from tests.services.fleet import Fleet
from tests.services.jumphost import JumpHost
from tests.services.platform import ROOT
from workers.tickets.node.server import FRAME_LENGTH

pytestmark = pytest.mark.service

UNPROTECTED = "import sys; sys.stdout.write('ready'); sys.stdout.flush(); sys.stdin.read()"


def dumps_core(command: list[str], folder: Path, *, stdin: bytes = b"", environment: Mapping[str, str] = {}) -> bool:
    """Whether a process writes a core dump after its first output, if only the process itself can prevent it."""
    process = subprocess.Popen(
        ["prlimit", "--core=unlimited", "--", *command],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(stdin)
    process.stdin.flush()
    assert process.stdout.read(4)
    process.send_signal(signal.SIGABRT)
    ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    process.communicate()
    assert ended is not None
    assert ended.si_code in (os.CLD_DUMPED, os.CLD_KILLED)
    return ended.si_code == os.CLD_DUMPED


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder for core dumps."""
    if not dumps_core([sys.executable, "-c", UNPROTECTED], tmp_path):
        pytest.skip("This system writes no core dumps into the working directory (core(5)).")
    for core in tmp_path.glob("core*"):
        core.unlink()
    return tmp_path


def test_given_a_rotator_that_aborts_then_it_writes_no_core_dump(fleet: Fleet, folder: Path) -> None:
    host = JumpHost(fleet)
    command = [sys.executable, "-m", "cli", "tickets", "watch"]

    assert not dumps_core(command, folder, environment={"PYTHONPATH": str(ROOT), **host.environment})

    assert list(folder.iterdir()) == []


def test_given_a_node_program_that_aborts_then_it_writes_no_core_dump(fleet: Fleet, folder: Path) -> None:
    program = [f"{fleet.home}/bulkhead-tickets-node", "serve", *fleet[0].options.split()]
    frame = json.dumps({"op": "status"}).encode()

    assert not dumps_core(["/usr/bin/python3", "-IS", *program], folder, stdin=FRAME_LENGTH.pack(len(frame)) + frame)

    assert list(folder.iterdir()) == []


def test_given_haproxy_with_the_limit_of_its_drop_in_when_it_aborts_then_it_writes_no_core_dump(fleet: Fleet) -> None:
    limits = (ROOT / "systemd/node/haproxy.conf").read_text()
    assert "LimitCORE=0\n" in limits
    (worker,) = psutil.Process(fleet[0].haproxy.pid).children()
    assert worker.rlimit(psutil.RLIMIT_CORE) == (0, 0)

    worker.send_signal(signal.SIGABRT)

    eventually(lambda: fleet[0].haproxy.describe_exit() is not None)
    assert not list(fleet[0].home.glob("core*"))
