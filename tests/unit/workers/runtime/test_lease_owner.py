"""A holder's name tells whether it is still alive, on its own host."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workers.runtime import lease_owner
from workers.runtime.lease_owner import current_owner, host_id, is_gone, start_time


def test_this_very_process_is_not_gone() -> None:
    assert current_owner().startswith(f"{host_id()}:{os.getpid()}:")
    assert not is_gone(current_owner())


def test_a_child_that_ended_is_gone_even_before_it_is_reaped() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = f"{host_id()}:{child.pid}:{start_time(child.pid)}"
    assert not is_gone(name)

    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie from here on
    assert start_time(child.pid) is None
    assert is_gone(name)
    child.communicate()
    assert is_gone(name)


def test_a_pid_that_was_given_to_another_process_is_gone() -> None:
    start = start_time(os.getpid())
    assert start is not None

    assert is_gone(f"{host_id()}:{os.getpid()}:{start - 1}")


def test_a_process_that_proc_hides_is_gone_only_once_the_kernel_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = f"{host_id()}:{child.pid}:{start_time(child.pid)}"
    monkeypatch.setattr(
        lease_owner, "PROC", tmp_path
    )  # as ProtectProc=invisible shows other units' processes: not at all

    assert not is_gone(name)
    child.kill()
    child.communicate()
    assert is_gone(name)


def test_of_another_host_or_another_boot_nothing_is_known() -> None:
    host, start = host_id(), start_time(os.getpid())

    assert not is_gone(f"elsewhere-{host}:{os.getpid()}:{start}")
    assert not is_gone(f"{host}x:999999:1")


def test_names_of_nobody_are_not_known_to_be_gone() -> None:
    for name in ("", ":", "::", "host", f"{host_id()}:x:1", f"{host_id()}::1", f"{host_id()}:-1:1"):
        assert not is_gone(name)


def test_a_process_whose_name_holds_blanks_and_brackets_is_read_right() -> None:
    before = start_time(os.getpid())
    own = lease_owner.PROC / "self" / "comm"
    name = own.read_text()
    try:
        own.write_text(") R 1 (x")
        assert start_time(os.getpid()) == before
    finally:
        own.write_text(name.strip())
