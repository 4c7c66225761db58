"""Limits that a render process sets for itself, observed from outside."""

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
from workers.sandbox.confinement.limits import apply_limits
apply_limits(niceness=7)
print(json.dumps({
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "files": resource.getrlimit(resource.RLIMIT_NOFILE),
    "addresses": resource.getrlimit(resource.RLIMIT_AS),
    "locked memory": resource.getrlimit(resource.RLIMIT_MEMLOCK),
    "message queues": resource.getrlimit(12),
    "nice": os.nice(0),
    "oom": int(Path("/proc/self/oom_score_adj").read_text()),
}))
"""

SESSION = """
from pathlib import Path
from workers.sandbox.confinement.limits import apply_limits
apply_limits(niceness=7)
print(Path("/proc/self/autogroup").read_text())
"""
AUTOGROUP = Path("/proc/self/autogroup")

# Starts a grandchild with limits, prints its pid once it sleeps, and keeps running.
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", '''
import time
from workers.sandbox.confinement.limits import apply_limits
apply_limits(niceness=0)
print("ready", flush=True)
time.sleep(60)
'''], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


def test_given_a_child_when_limits_are_applied_then_the_kernel_shows_them() -> None:
    limits = json.loads(
        subprocess.run([sys.executable, "-c", SHOW], check=True, capture_output=True, timeout=30).stdout
    )
    assert limits["core"] == [0, 0]
    assert limits["files"] == [1024, 1024]
    assert limits["addresses"] == [-1, -1]  # native libraries reserve far more address space than they use
    assert limits["locked memory"] == [64 * 1024, 64 * 1024]
    assert limits["message queues"] == [0, 0]
    assert limits["nice"] == max(7, os.nice(0))
    assert limits["oom"] == 800


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel has no autogroup scheduling")
def test_given_its_own_session_when_a_child_lowers_its_priority_then_only_that_session_is_changed() -> None:
    before = AUTOGROUP.read_text()
    command = [sys.executable, "-c", SESSION]
    separate = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30, start_new_session=True)
    # Through a shell, because the test process may lead a session and must not be the parent.
    through_shell = ["sh", "-c", '"$@"; exit', "sh", *command]
    shared = subprocess.run(through_shell, check=True, capture_output=True, text=True, timeout=30)

    assert separate.stdout.split()[-1] == "7"
    assert shared.stdout.split() == AUTOGROUP.read_text().split() == before.split()


def test_given_a_child_when_its_parent_is_killed_then_it_is_killed_too() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 10
    while _is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _is_running(pid)


def _is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists() and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
