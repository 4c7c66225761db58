"""Directories that survive a killed attempt."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from workers.runtime.resumable_dirs import RETENTION, remove_stale_dirs, resumable_dir

FILL_AND_HANG = """
import sys, time
from pathlib import Path
from workers.runtime.resumable_dirs import resumable_dir
with resumable_dir(Path(sys.argv[1]), "a") as path:
    (path / "tile").write_text("cut")
    print("filled", flush=True)
    time.sleep(60)
"""


def test_given_a_process_that_was_killed_then_the_next_one_finds_its_files(
    tmp_path: Path,
) -> None:
    argv = [sys.executable, "-c", FILL_AND_HANG, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "filled\n"
        with resumable_dir(tmp_path, "a") as path:
            assert path is None
        process.send_signal(signal.SIGKILL)
    with resumable_dir(tmp_path, "a") as path:
        assert path is not None
        assert (path / "tile").read_text() == "cut"
    assert not list(tmp_path.iterdir())


def test_given_two_keys_then_their_directories_differ(tmp_path: Path) -> None:
    with resumable_dir(tmp_path, "a") as one, resumable_dir(tmp_path, "b") as other:
        assert one != other


def test_given_an_exception_in_the_block_then_the_directory_is_removed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), resumable_dir(tmp_path, "a"):
        raise ValueError("no")
    assert not list(tmp_path.iterdir())


def test_given_a_directory_that_was_moved_away_when_it_is_used_again_then_it_is_empty(tmp_path: Path) -> None:
    with resumable_dir(tmp_path, "a") as path:
        assert path is not None
        (path / "tile").write_text("cut")
        path.rename(tmp_path / "published")
        with resumable_dir(tmp_path, "a") as fresh:
            assert fresh is not None
            assert not list(fresh.iterdir())
    assert (tmp_path / "published/tile").exists()


def test_given_a_directory_that_was_moved_away_then_a_new_one_of_another_process_is_not_removed(
    tmp_path: Path,
) -> None:
    with ExitStack() as first, ExitStack() as second:
        path = first.enter_context(resumable_dir(tmp_path, "a"))
        assert path is not None
        path.rename(tmp_path / "published")
        fresh = second.enter_context(resumable_dir(tmp_path, "a"))
        assert fresh is not None
        (fresh / "tile").write_text("cut")
        first.close()
        assert (fresh / "tile").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["published"]


def test_given_resumable_directories_when_stale_ones_are_removed_then_only_old_unused_ones_are(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / f"resumable.{name}").mkdir()
    long_ago = time.time() - 2 * RETENTION
    os.utime(tmp_path / "resumable.old", (long_ago, long_ago))
    with resumable_dir(tmp_path, "busy") as busy:
        assert busy is not None
        os.utime(busy, (long_ago, long_ago))
        remove_stale_dirs(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["resumable.busy", "resumable.new"]
