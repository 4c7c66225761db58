"""Directories that outlive the attempt that filled them, so that the next attempt at the same goes on from there."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "kept."

# A killed attempt comes back within minutes, or not at all (seconds).
RETENTION = 3600.0


@contextmanager
def resumable_dir(root: Path, key: str) -> Iterator[Path | None]:
    """The directory below `root` that belongs to `key`, made if need be; None while another process is in it.

    It is removed at the end of the block, also by an exception, and stays where the process is killed. The block may
    move it away.
    """
    path = root / f"{PREFIX}{key}"
    lock = _lock(path)
    if lock is None:
        yield None
        return
    try:
        yield path
    finally:
        if _is_same_dir(lock, path):  # moved away, its place may be another one's by now
            shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def remove_stale_dirs(root: Path, now: float | None = None) -> None:
    """Remove those that nobody is in, and that nobody came back to for an hour."""
    oldest = (time.time() if now is None else now) - RETENTION
    for path in root.glob(f"{PREFIX}*"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < oldest and (lock := _lock(path)) is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)


def _lock(path: Path) -> int | None:
    """Make and lock the directory; a descriptor whose end is the lock's, or None if somebody else holds it."""
    while True:
        path.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # its owner may move it away at any moment
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_same_dir(lock, path):
                    os.utime(lock)
                    return lock
            except BlockingIOError:
                os.close(lock)
                return None
            except BaseException:
                os.close(lock)
                raise
            os.close(lock)


def _is_same_dir(directory: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(directory), path.stat())
    except FileNotFoundError:
        return False
