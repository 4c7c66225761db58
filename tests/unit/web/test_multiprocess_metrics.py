"""The shared directory of the metrics of one web server's processes."""

from __future__ import annotations

from pathlib import Path

from web.multiprocess_metrics import shared_directory


def test_given_a_shared_directory_when_the_block_ends_then_it_is_removed(tmp_path: Path) -> None:
    with shared_directory(tmp_path / "metrics") as directory:
        (directory / "counter.db").write_bytes(b"1")
    assert list((tmp_path / "metrics").iterdir()) == []


def test_given_an_unlocked_directory_of_a_killed_process_when_another_starts_then_it_is_removed(
    tmp_path: Path,
) -> None:
    abandoned = tmp_path / "abandoned"
    abandoned.mkdir()
    (abandoned / "counter.db").write_bytes(b"1")
    with shared_directory(tmp_path) as used, shared_directory(tmp_path) as directory:
        assert {*tmp_path.iterdir()} == {used, directory}
