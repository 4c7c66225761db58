"""What a child recorded is read when it is gone, whatever ended it."""

import mmap
import os
import signal
import time
from pathlib import Path

import pytest

from workers.crash import flight_recorder
from workers.crash.flight_recorder import FlightRecord, pop_record, record_attempt, remove_stale_records
from workers.runtime.lease_owner import current_owner, host_id

MIB = 1024**2


def child_that(var: Path, act: str) -> tuple[int, int]:
    """Fork a child that records an attempt and then acts; its pid and how it ended."""
    pid = os.fork()
    if pid:
        return pid, os.waitpid(pid, 0)[1]
    try:
        with record_attempt(var, current_owner(), job="j", attempt=2) as kept:
            kept.set_planned(120 * MIB)
            kept.set_stage("encode", "PIPES")
            if act == "kill":
                held = bytearray(b"x") * (64 * MIB)
                time.sleep(0.3)
                os.kill(os.getpid(), signal.SIGKILL)
                del held
            if act == "exit":
                raise SystemExit(0)
            if act == "fail":
                raise ValueError
    finally:
        os._exit(0)


def test_given_a_child_that_was_killed_then_the_parent_reads_where_it_was_once(tmp_path: Path) -> None:
    pid, status = child_that(tmp_path, "kill")
    assert os.WTERMSIG(status) == signal.SIGKILL

    last = pop_record(tmp_path, pid)

    assert last is not None
    assert last == FlightRecord("j", 2, "encode", "PIPES", 120 * MIB, last.resident, last.peak)
    assert 64 * MIB < last.resident <= last.peak < 2048 * MIB
    assert pop_record(tmp_path, pid) is None


def test_given_a_child_that_was_asked_to_end_in_the_middle_then_its_record_stays(tmp_path: Path) -> None:
    pid, _ = child_that(tmp_path, "exit")

    last = pop_record(tmp_path, pid)

    assert last is not None
    assert (last.attempt, last.stage, last.layer) == (2, "encode", "PIPES")


@pytest.mark.parametrize("act", ["fail", "nothing"])
def test_given_an_attempt_that_came_to_its_own_end_then_nothing_is_left(tmp_path: Path, act: str) -> None:
    pid, _ = child_that(tmp_path, act)

    assert pop_record(tmp_path, pid) is None
    assert list((tmp_path / "flights").iterdir()) == []


def test_given_a_child_killed_in_the_middle_of_writing_then_what_it_wrote_before_is_read(tmp_path: Path) -> None:
    path = tmp_path / "flights" / f"{host_id()}:7:99"
    with record_attempt(tmp_path, path.name, job="j", attempt=1) as kept:
        kept.set_stage("draw", "WALLS")
        kept.set_stage("draw", "DOORS")
        whole = path.read_bytes()
    torn = bytearray(whole)
    at = torn.index(b"DOORS")
    torn[at : at + 2] = b"WI"  # of WINDOWS, over the older of the two slots' next turn
    path.write_bytes(torn)

    last = pop_record(tmp_path, 7)

    assert last is not None
    assert last.layer == "WALLS"


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"\xff" * 4096, b"x" * 100])
def test_given_a_file_that_is_no_record_then_there_is_none_and_it_is_gone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "flights" / f"{host_id()}:7:99"
    path.parent.mkdir()
    path.write_bytes(content)

    assert pop_record(tmp_path, 7) is None
    assert not path.exists()


def test_given_names_of_any_length_and_script_then_they_are_cut_and_the_record_is_whole() -> None:
    kept = flight_recorder.FlightRecorder(
        mmap.mmap(-1, flight_recorder.SIZE), job="0b9a3c1e-6c43-4c05-9a65-5d2e3b1f7a10", attempt=2**31
    )
    for name in ("\U0001f6b0" * 500, "\x00\x1f" * 300, "Gebäude"):
        kept.set_stage(name, name)
        last = kept.snapshot()
        assert last is not None
        assert (last.stage, last.layer) == (
            name[: flight_recorder.MAX_NAME_LENGTH],
            name[: flight_recorder.MAX_NAME_LENGTH],
        )


def test_given_no_place_for_the_file_then_the_attempt_goes_on_unrecorded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "flights").write_text("in the way")

    with record_attempt(tmp_path, current_owner(), job="j", attempt=1) as kept:
        kept.set_stage("draw")
        assert kept.snapshot() is not None

    assert "The attempt is not recorded, its death would stay unexplained" in caplog.text


def test_records_of_children_long_gone_are_swept_and_others_stay(tmp_path: Path) -> None:
    folder = tmp_path / "flights"
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
