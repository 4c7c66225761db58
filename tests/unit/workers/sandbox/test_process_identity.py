"""On its own host, the name of an owner tells whether its process still runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workers.sandbox import process_identity
from workers.sandbox.process_identity import current_owner, host_id, is_gone, start_time


def test_given_this_process_then_it_is_not_gone() -> None:
    assert current_owner().startswith(f"{host_id()}:{os.getpid()}:")
    assert not is_gone(current_owner())


def test_given_an_ended_child_then_it_is_gone_even_before_it_is_reaped() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = f"{host_id()}:{child.pid}:{start_time(child.pid)}"
    assert not is_gone(name)

    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # now a zombie
    assert start_time(child.pid) is None
    assert is_gone(name)
    child.communicate()
    assert is_gone(name)


def test_given_a_reused_pid_then_the_first_process_is_gone() -> None:
    start = start_time(os.getpid())
    assert start is not None

    assert is_gone(f"{host_id()}:{os.getpid()}:{start - 1}")


def test_given_a_process_hidden_from_proc_then_it_is_gone_only_after_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = f"{host_id()}:{child.pid}:{start_time(child.pid)}"
    monkeypatch.setattr(
        process_identity, "PROC", tmp_path
    )  # like ProtectProc=invisible, which hides other units' processes

    assert not is_gone(name)
    child.kill()
    child.communicate()
    assert is_gone(name)


def test_given_another_host_or_boot_then_no_process_is_known_to_be_gone() -> None:
    host, start = host_id(), start_time(os.getpid())

    assert not is_gone(f"elsewhere-{host}:{os.getpid()}:{start}")
    assert not is_gone(f"{host}x:999999:1")


def test_given_an_invalid_name_then_it_is_not_known_to_be_gone() -> None:
    for name in ("", ":", "::", "host", f"{host_id()}:x:1", f"{host_id()}::1", f"{host_id()}:-1:1"):
        assert not is_gone(name)


def test_given_a_process_name_with_spaces_and_parentheses_then_its_start_time_is_parsed() -> None:
    before = start_time(os.getpid())
    comm = process_identity.PROC / "self" / "comm"
    name = comm.read_text()
    try:
        comm.write_text(") R 1 (x")
        assert start_time(os.getpid()) == before
    finally:
        comm.write_text(name.strip())
