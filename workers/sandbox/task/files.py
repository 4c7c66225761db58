"""Files of a sandboxed task: its working directory, the files it may read, and the files that it leaves."""

import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.errors import InvalidInput, JobFailed
from workers.sandbox.process_identity import current_owner, is_gone
from workers.sandbox.zygote.body import TEMPORARY

# Output files of one call.
MAX_OUTPUTS = 10_000

# Where a program's standard output and error go, in the working directory.
STANDARD_OUTPUT, STANDARD_ERROR = ".stdout", ".stderr"

_PREFIX, _OLD = ".sandboxed-task-", "-old"
_OUTPUT_MODE = 0o644
_OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class InvalidSource(InvalidInput):
    """A source of a sandboxed task is not a regular file below its directory."""

    code = "invalid-source"


class InvalidOutput(JobFailed):
    """The process left something else than regular files."""

    code = "invalid-output"


@contextmanager
def working_directory(parent: Path | None) -> Iterator[Path]:
    """An empty directory, below `parent` or the directory for temporary files. It is removed at the end.

    Directories of killed processes are removed as well. Raises OSError.
    """
    folder = parent or Path(tempfile.gettempdir())
    _remove_stale(folder)
    # No colon: ImageMagick and others take what is before it for a format.
    owner = current_owner().replace(":", ",")
    work = folder.resolve() / f"{_PREFIX}{owner}-{secrets.token_hex(4)}"
    work.mkdir(mode=0o700)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def check_source(path: str, root: Path | None) -> Path:
    """The file without links. Raises InvalidSource if it is none, or not below `root`."""
    try:
        resolved = Path(path).resolve(strict=True)
    except OSError as error:
        raise InvalidSource(f"The source {path} cannot be read: {error.strerror}.") from error
    if not resolved.is_file():
        raise InvalidSource(f"The source {path} is not a regular file.")
    if root is not None and not resolved.is_relative_to(root.resolve()):
        raise InvalidSource(f"The source {path} is not below {root}.")
    return resolved


def publish_outputs(work: Path, target: Path) -> None:
    """Move all files of `work` to the new directory `target` in one step, if they are regular files.

    A directory of an earlier attempt is replaced. Raises InvalidOutput.
    """
    shutil.rmtree(work / TEMPORARY, ignore_errors=True)
    _check_outputs(work)
    old = work.with_name(f"{work.name}{_OLD}")
    with suppress(FileNotFoundError):
        target.rename(old)
    work.rename(target)
    target.chmod(0o755)
    shutil.rmtree(old, ignore_errors=True)


def take_text(work: Path, name: str, limit: int) -> str:
    """Remove a file of `work` and return its last `limit` bytes as text."""
    try:
        descriptor = os.open(work / name, _OPEN_FLAGS)
    except OSError:  # the program has replaced it, by a link for example
        return ""
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            return ""
        return os.pread(descriptor, limit, max(0, facts.st_size - limit)).decode(errors="replace")
    finally:
        os.close(descriptor)
        with suppress(OSError):
            (work / name).unlink()


def _check_outputs(work: Path) -> None:
    count = 0
    for _directory, folders, files, descriptor in os.fwalk(work, follow_symlinks=False):
        for name in folders:
            if not stat.S_ISDIR(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
                raise InvalidOutput(f"The process left {name!r:.100}, which is a link.")
        for name in files:
            _check_output(name, descriptor)
        count += len(files)
        if count > MAX_OUTPUTS:
            raise InvalidOutput(f"The process left more than {MAX_OUTPUTS:,} files.")


def _check_output(name: str, parent: int) -> None:
    try:
        descriptor = os.open(name, _OPEN_FLAGS, dir_fd=parent)
    except OSError as error:
        raise InvalidOutput(f"The process left {name!r:.100}, which is no regular file.") from error
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
            raise InvalidOutput(f"The process left {name!r:.100}, which is no regular file.")
        os.fchmod(descriptor, _OUTPUT_MODE)  # it may have set the set-user-ID bit
    finally:
        os.close(descriptor)


def _remove_stale(folder: Path) -> None:
    for path in folder.glob(f"{_PREFIX}*"):
        owner = path.name.removeprefix(_PREFIX).removesuffix(_OLD).rpartition("-")[0]
        if is_gone(owner.replace(",", ":")):
            shutil.rmtree(path, ignore_errors=True)
