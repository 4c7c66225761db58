"""The directory that the processes of one web tier count in."""

from __future__ import annotations

from pathlib import Path

from web.multiprocess_metrics import shared_directory


def test_given_a_directory_when_the_block_ends_then_it_is_gone(tmp_path: Path) -> None:
    with shared_directory(tmp_path / "metrics") as own:
        (own / "counter.db").write_bytes(b"1")
    assert list((tmp_path / "metrics").iterdir()) == []


def test_given_one_that_a_killed_process_left_and_one_in_use_when_another_begins_then_the_first_is_removed(
    tmp_path: Path,
) -> None:
    left = tmp_path / "left"
    left.mkdir()
    (left / "counter.db").write_bytes(b"1")
    with shared_directory(tmp_path) as used, shared_directory(tmp_path) as own:
        assert {*tmp_path.iterdir()} == {used, own}
