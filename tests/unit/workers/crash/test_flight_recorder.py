"""The parent reads the record of a child after its end, whatever ended it."""

import mmap
import os
import signal
import time
from pathlib import Path

import pytest

from workers.crash import flight_recorder
from workers.crash.flight_recorder import FlightRecord, pop_record, record_attempt, remove_stale_records
from workers.sandbox.process_identity import current_owner, host_id

MIB = 1024**2


def fork_child(var: Path, act: str) -> tuple[int, int]:
    """Fork a child that records an attempt and then does `act`. Returns its pid and wait status."""
    pid = os.fork()
    if pid:
        return pid, os.waitpid(pid, 0)[1]
    try:
        with record_attempt(var, current_owner(), job="j", attempt=2) as recorder:
            recorder.set_planned(120 * MIB)
            recorder.set_stage("encode", "PIPES")
            if act == "kill":
                recorder.set_memory(90 * MIB)
                recorder.set_memory(70 * MIB, peak=80 * MIB)
                os.kill(os.getpid(), signal.SIGKILL)
            if act == "exit":
                raise SystemExit(0)
            if act == "fail":
                raise ValueError
    finally:
        os._exit(0)


def test_given_a_killed_child_then_the_parent_reads_its_record_once(tmp_path: Path) -> None:
    pid, status = fork_child(tmp_path, "kill")
    assert os.WTERMSIG(status) == signal.SIGKILL

    record = pop_record(tmp_path, pid)

    assert record == FlightRecord("j", 2, "encode", "PIPES", 120 * MIB, resident=70 * MIB, peak=90 * MIB)
    assert pop_record(tmp_path, pid) is None


def test_given_a_child_that_exits_during_an_attempt_then_its_record_is_kept(tmp_path: Path) -> None:
    pid, _ = fork_child(tmp_path, "exit")

    record = pop_record(tmp_path, pid)

    assert record is not None
    assert (record.attempt, record.stage, record.layer) == (2, "encode", "PIPES")


@pytest.mark.parametrize("act", ["fail", "nothing"])
def test_given_an_attempt_that_ended_by_itself_then_its_record_is_removed(tmp_path: Path, act: str) -> None:
    pid, _ = fork_child(tmp_path, act)

    assert pop_record(tmp_path, pid) is None
    assert list((tmp_path / "flight-records").iterdir()) == []


def test_given_a_child_killed_during_a_write_then_the_previous_record_is_read(tmp_path: Path) -> None:
    path = tmp_path / "flight-records" / f"{host_id()}:7:99"
    with record_attempt(tmp_path, path.name, job="j", attempt=1) as recorder:
        recorder.set_stage("draw", "WALLS")
        recorder.set_stage("draw", "DOORS")
        complete = path.read_bytes()
    torn = bytearray(complete)
    at = torn.index(b"DOORS")
    torn[at : at + 2] = b"WI"  # of WINDOWS, an incomplete next record
    path.write_bytes(torn)

    record = pop_record(tmp_path, 7)

    assert record is not None
    assert record.layer == "WALLS"


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"\xff" * 4096, b"x" * 100])
def test_given_an_invalid_file_then_there_is_no_record_and_the_file_is_removed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "flight-records" / f"{host_id()}:7:99"
    path.parent.mkdir()
    path.write_bytes(content)

    assert pop_record(tmp_path, 7) is None
    assert not path.exists()


def test_given_long_names_in_any_script_then_they_are_shortened_and_the_record_is_complete() -> None:
    recorder = flight_recorder.FlightRecorder(
        mmap.mmap(-1, flight_recorder.SIZE), job="0b9a3c1e-6c43-4c05-9a65-5d2e3b1f7a10", attempt=2**31
    )
    for name in ("\U0001f6b0" * 500, "\x00\x1f" * 300, "Gebäude"):
        recorder.set_stage(name, name)
        record = recorder.snapshot()
        assert record is not None
        assert (record.stage, record.layer) == (
            name[: flight_recorder.MAX_NAME_LENGTH],
            name[: flight_recorder.MAX_NAME_LENGTH],
        )


def test_given_a_file_that_cannot_be_created_then_the_attempt_continues_unrecorded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "flight-records").write_text("in the way")

    with record_attempt(tmp_path, current_owner(), job="j", attempt=1) as recorder:
        recorder.set_stage("draw")
        assert recorder.snapshot() is not None

    assert "The attempt is not recorded, so a crash would stay unexplained" in caplog.text


def test_given_old_records_of_ended_children_then_only_those_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "flight-records"
    folder.mkdir()
    long_ago = time.time() - flight_recorder.RETENTION - 1
    names = {
        "old": f"{host_id()}:1999999999:1",
        "fresh": f"{host_id()}:1999999998:1",
        "mine": current_owner(),
        "other": "host:7:1",
    }
    for name in names.values():
        (folder / name).touch()
        os.utime(folder / name, (long_ago, long_ago))
    os.utime(folder / names["fresh"])

    remove_stale_records(tmp_path)

    assert {path.name for path in folder.iterdir()} == set(names.values()) - {names["old"]}
