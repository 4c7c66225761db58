"""Limits that a rendering child puts upon itself, seen from outside."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

SHOW = """
import json, os, resource
from pathlib import Path
from workers.sandbox.limits import apply_limits
apply_limits(niceness=7)
print(json.dumps({
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "files": resource.getrlimit(resource.RLIMIT_NOFILE),
    "addresses": resource.getrlimit(resource.RLIMIT_AS),
    "nice": os.nice(0),
    "oom": int(Path("/proc/self/oom_score_adj").read_text()),
}))
"""

SESSION = """
from pathlib import Path
from workers.sandbox.limits import apply_limits
apply_limits(niceness=7)
print(Path("/proc/self/autogroup").read_text())
"""
AUTOGROUP = Path("/proc/self/autogroup")

# Starts a grandchild inside its limits, tells its pid once it sleeps, and stays.
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", '''
import time
from workers.sandbox.limits import apply_limits
apply_limits(niceness=0)
print("ready", flush=True)
time.sleep(60)
'''], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


def test_given_a_child_when_limits_are_applied_then_the_kernel_shows_them() -> None:
    shown = json.loads(subprocess.run([sys.executable, "-c", SHOW], check=True, capture_output=True, timeout=30).stdout)
    assert shown["core"] == [0, 0]
    assert shown["files"] == [1024, 1024]
    assert shown["addresses"] == [-1, -1]  # native libraries reserve far more addresses than they touch
    assert shown["nice"] == max(7, os.nice(0))
    assert shown["oom"] == 800


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel does not share by session")
def test_given_a_session_of_its_own_when_a_child_gives_way_then_the_session_does_and_no_other() -> None:
    before = AUTOGROUP.read_text()
    command = [sys.executable, "-c", SESSION]
    own = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30, start_new_session=True)
    shell = [
        "sh",
        "-c",
        '"$@"; exit',
        "sh",
        *command,
    ]  # so that the test process, which may lead a session, is no parent
    ours = subprocess.run(shell, check=True, capture_output=True, text=True, timeout=30)

    assert own.stdout.split()[-1] == "7"
    assert ours.stdout.split() == AUTOGROUP.read_text().split() == before.split()


def test_given_a_child_when_its_parent_is_killed_then_it_goes_too() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 10
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists() and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
