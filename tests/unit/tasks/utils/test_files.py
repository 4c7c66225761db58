"""Atomic writes and locks."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.utils.files import lock_file, locked, make_private_directory, remove_tree, write_atomically


def test_given_an_old_file_when_it_is_replaced_then_content_and_mode_are_new_and_no_draft_stays(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)

    write_atomically(path, "new", durable=True)

    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_given_any_umask_then_the_mode_is_the_one_that_was_asked_for(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "page", b"x", mode=0o644)
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "page").stat().st_mode) == 0o644


def test_given_a_write_that_fails_then_the_old_file_is_untouched_and_no_draft_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_given_a_link_with_the_name_of_the_file_then_its_target_is_not_written(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("theirs")
    (tmp_path / "link").symlink_to(target)

    write_atomically(tmp_path / "link", "ours")

    assert target.read_text() == "theirs"
    assert not (tmp_path / "link").is_symlink()


def test_given_a_lock_that_is_held_then_a_second_holder_waits_or_is_refused(tmp_path: Path) -> None:
    with (
        lock_file(tmp_path / "lock"),
        pytest.raises(BlockingIOError),
        lock_file(tmp_path / "lock", wait=False),
    ):
        pass
    with lock_file(tmp_path / "lock", wait=False):
        pass


def test_given_a_directory_then_it_can_be_locked(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(BlockingIOError), locked(tmp_path, wait=False):
        pass


def test_given_a_directory_that_others_may_read_then_it_becomes_private(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir(mode=0o755)

    assert make_private_directory(tmp_path / "var") == (tmp_path / "var").resolve()
    assert stat.S_IMODE((tmp_path / "var").stat().st_mode) == 0o700


def test_given_deep_and_closed_directories_when_the_tree_is_removed_then_nothing_stays(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").touch(mode=0)
    (tree / "link").symlink_to(tmp_path)
    (tree / "closed").mkdir()
    (tree / "closed/inner").mkdir(mode=0)
    (tree / "closed").chmod(0)
    # Deeper than a path can be long: another process makes it, because this one must not leave its directory.
    make = "import os\nfor _ in range(3000): os.mkdir('d'); os.chdir('d')\nopen('end', 'w').close()"
    subprocess.run([sys.executable, "-c", make], cwd=tree, check=True)

    remove_tree(tree)

    assert list(tmp_path.iterdir()) == []
