"""Writing files so that readers see the old content or the new one, locking and removing. Standard library only."""

import fcntl
import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_DIRECTORY = 0o700

# For processes of other users in the same group: under systemd web tier, workers and maintenance have one user each.
SHARED_FILE = 0o660


def write_atomically(path: Path, content: str | bytes, mode: int = PRIVATE_FILE, durable: bool = False) -> None:
    """Replace the file `path` in one step, with the permissions `mode` from its first byte on.

    With `durable` the content and the directory entry are on disk when this returns. Raises OSError; then the old file
    is untouched and no draft is left behind.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        # O_EXCL: never write through a link that somebody else put there.
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)  # whatever the umask is
            file.write(content.encode() if isinstance(content, str) else content)
            if durable:
                file.flush()
                os.fsync(descriptor)
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    if durable:
        fsync_directory(path.parent)


def sha256_of(path: Path) -> str:
    """The SHA-256 of the file `path`, in hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fsync_directory(path: Path) -> None:
    """Wait until the entries of the directory `path` are on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_private_directory(path: Path) -> Path:
    """Create the directory `path` and its parents, readable by its owner only. Returns its absolute path."""
    path.mkdir(parents=True, exist_ok=True, mode=PRIVATE_DIRECTORY)
    path.chmod(PRIVATE_DIRECTORY)
    return path.resolve()


def acquire_lock(path: Path, wait: bool = True) -> int:
    """Lock the existing file or directory `path` against others that do the same (flock(2)).

    Returns the descriptor that holds the lock: closing it, or the end of the process, releases it. Raises
    BlockingIOError if somebody else holds it and `wait` is false.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold the lock of `path` for the length of the block; see `acquire_lock`."""
    descriptor = acquire_lock(path, wait)
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def lock_file(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold the lock of the file `path` for the length of the block. The file is created if it is missing, and stays."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE_FILE))
    with locked(path, wait):
        yield


def remove_tree(path: Path) -> None:
    """Remove the directory `path`, however deep its directories are nested and whatever their permissions.

    Inner directories are moved up before they are removed, so that no path becomes too long. What cannot be removed
    stays. The processes that wrote to it must be gone.
    """
    number = 0
    waiting = [path]
    while waiting:
        folder = waiting.pop()
        with suppress(OSError):
            folder.chmod(PRIVATE_DIRECTORY)
            for entry in list(os.scandir(folder)):
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False) and folder is not path:
                        number += 1
                        moved = path / f".removed-{os.getpid()}-{number}"
                        Path(entry.path).chmod(PRIVATE_DIRECTORY)  # moving a directory changes it
                        waiting.append(Path(entry.path).rename(moved))
                    elif entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    else:
                        Path(entry.path).unlink()
            if folder is not path:
                folder.rmdir()
    with suppress(OSError):
        path.rmdir()


@contextmanager
def temporary_directory(parent: Path, prefix: str) -> Iterator[Path]:
    """An empty directory for the length of the block, removed by `remove_tree`."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        yield folder
    finally:
        remove_tree(folder)
