"""Measuring another process. Each test measures a real one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.workers.sandbox.support import wait_until
from workers.sandbox.supervised import (
    DISK_INTERVAL,
    MAX_DEPTH,
    MIN_ENTRY_BYTES,
    DirectoryMeter,
    Seen,
    measure,
    measure_session,
)

MIB = 1024**2


@contextmanager
def process(program: str, *, start_new_session: bool = False) -> Iterator[int]:
    """A process that has printed a line."""
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=start_new_session
    )
    assert child.stdout is not None
    try:
        child.stdout.readline()
        yield child.pid
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def seen(pid: int) -> Seen:
    found = measure(pid)
    assert found is not None
    return found


def test_given_a_process_that_computes_then_it_does_not_wait_and_its_processor_time_grows() -> None:
    with process("print(flush=True)\nwhile True: pass") as pid:
        before = seen(pid)
        wait_until(lambda: seen(pid).cpu >= before.cpu + 0.1)
        assert not seen(pid).is_waiting


def test_given_a_process_that_sleeps_then_it_waits() -> None:
    with process("import time; print(flush=True); time.sleep(60)") as pid:
        wait_until(lambda: seen(pid).is_waiting)


def test_given_one_busy_thread_among_sleeping_ones_then_the_process_does_not_wait() -> None:
    program = """
import threading, time
for _ in range(3):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
def compute():
    while True: pass
threading.Thread(target=compute, daemon=True).start()
print(flush=True)
time.sleep(60)
"""
    with process(program) as pid:
        assert seen(pid).threads == 5
        assert not all(seen(pid).is_waiting for _ in range(20))


def test_given_a_process_that_allocated_and_freed_then_peak_and_resident_set_differ() -> None:
    program = "import time; b'x' * (100 << 20); print(flush=True); time.sleep(60)"
    with process(program) as pid:
        assert seen(pid).peak > 100 * MIB > seen(pid).resident


@pytest.mark.parametrize(
    "write",
    ["file.write(b'x' * size)", "file.truncate(size); mmap.mmap(file.fileno(), size)[:] = b'x' * size"],
    ids=["written", "mapped"],
)
def test_given_a_process_that_wrote_a_file_then_the_bytes_are_counted(tmp_path: Path, write: str) -> None:
    program = f"""
import mmap, os, time
size = 8 << 20
with open({str(tmp_path / "file")!r}, "w+b") as file:
    {write}
    os.fsync(file.fileno())
print(flush=True)
time.sleep(60)
"""
    with process(program) as pid:
        assert seen(pid).written >= 8 * MIB


def test_given_a_process_that_has_ended_then_there_is_nothing_to_measure() -> None:
    child = subprocess.Popen(["true"])
    wait_until(lambda: measure(child.pid) is None)
    child.wait()
    assert measure(child.pid) is None


def test_given_a_directory_then_its_size_is_that_on_disk_without_the_targets_of_links(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.write_bytes(b"x" * 8 * MIB)
    (folder / "deep" / "deeper").mkdir(parents=True)
    (folder / "deep" / "deeper" / "file").write_bytes(b"x" * MIB)
    (folder / "link").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    with (folder / "sparse").open("wb") as file:
        file.truncate(100 * MIB)

    assert MIB <= size_of(folder) < 1.2 * MIB
    assert size_of(tmp_path / "missing") == 0


def test_given_empty_files_then_each_counts_as_a_block(tmp_path: Path) -> None:
    for number in range(500):
        (tmp_path / str(number)).touch()
    assert size_of(tmp_path) == 500 * MIN_ENTRY_BYTES


def test_given_directories_nested_too_deep_then_they_exceed_every_quota(tmp_path: Path) -> None:
    tmp_path.joinpath(*["d"] * (MAX_DEPTH + 2)).mkdir(parents=True)
    assert size_of(tmp_path) > 2**60


def test_given_a_program_with_children_then_they_are_measured_together() -> None:
    program = """
import subprocess, sys, time
ballast = "import time; block = b'x' * (50 << 20); print(flush=True); time.sleep(60)"
children = [subprocess.Popen([sys.executable, "-c", ballast], stdout=subprocess.PIPE) for _ in range(3)]
for child in children: child.stdout.readline()
print(flush=True)
time.sleep(60)
"""
    with process(program, start_new_session=True) as pid:
        together = measure_session(pid)
        assert together is not None
        assert together.resident > 150 * MIB > seen(pid).resident
        assert together.threads == 4
        os.killpg(pid, signal.SIGKILL)


def size_of(folder: Path) -> int:
    """The size of a directory at the end of its first measurement."""
    meter = DirectoryMeter(folder)
    time.sleep(DISK_INTERVAL)
    meter.measure()
    while (size := meter.measure()) != meter.measure():
        pass
    return size
