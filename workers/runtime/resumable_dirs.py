"""Directories that survive a killed attempt, so that the next attempt at the same work can resume it."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.utils.files import acquire_lock, remove_tree

PREFIX = "resumable."

# Seconds. A killed attempt is repeated within minutes, or never.
RETENTION = 3600.0


@contextmanager
def resumable_dir(root: Path, key: str) -> Iterator[Path | None]:
    """The directory below `root` that belongs to `key`, created if it is missing; None while another process uses it.

    It is removed at the end of the block, also after an exception, and stays if the process is killed. The block may
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
        if _is_same_dir(lock, path):  # otherwise it was moved away, and another process may have created a new one
            remove_tree(path)
        os.close(lock)


def remove_stale_dirs(root: Path, now: float | None = None) -> None:
    """Remove directories that no process uses and that have not been used for an hour."""
    oldest = (time.time() if now is None else now) - RETENTION
    for path in root.glob(f"{PREFIX}*"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < oldest and (lock := _lock(path)) is not None:
                remove_tree(path)
                os.close(lock)


def _lock(path: Path) -> int | None:
    """Create and lock the directory. Returns the descriptor that holds the lock, or None if another process has it."""
    while True:
        path.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # its user may move it away at any moment
            try:
                lock = acquire_lock(path, wait=False)
            except BlockingIOError:
                return None
            if _is_same_dir(lock, path):
                os.utime(lock)
                return lock
            os.close(lock)


def _is_same_dir(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
