"""Where the processes of one web tier count together: files that are gone with it, however it ends."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp


@contextmanager
def shared_directory(parent: Path) -> Iterator[Path]:
    """A new directory below `parent` for the length of the block. Those that killed processes left there are removed.

    Whoever uses one holds its lock, which the kernel lets go when the process ends. Raises OSError.
    """
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(parent):  # no other process shall find the new directory before it is locked
        for path in parent.iterdir():
            remove_unused(path)
        own = Path(mkdtemp(dir=parent))
        held = lock(own)
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)
        os.close(held)


def remove_unused(path: Path) -> None:
    """Remove a directory unless somebody holds its lock."""
    with suppress(BlockingIOError, FileNotFoundError, NotADirectoryError), locked(path, fcntl.LOCK_NB):
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def locked(path: Path, how: int = 0) -> Iterator[None]:
    """Hold a directory's lock. With LOCK_NB raises BlockingIOError instead of waiting."""
    held = lock(path, how)
    try:
        yield
    finally:
        os.close(held)


def lock(path: Path, how: int = 0) -> int:
    """Lock a directory. Returns the descriptor whose end is the lock's."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | how)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
