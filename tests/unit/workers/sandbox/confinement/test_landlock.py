"""Landlock alone, of the versions of several kernels."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from workers.sandbox.confinement import landlock
from workers.sandbox.confinement.landlock import Kind, abi
from workers.sandbox.errors import SandboxUnavailable

# Restricts itself to one directory with the Landlock of a version, and prints the error of a statement or 0.
PROGRAM = """
import os, socket, sys
from pathlib import Path
from workers.sandbox.confinement.landlock import Kind, restrict
from workers.sandbox.confinement.privileges import forbid_new_privileges
directory, kind, version, statement = sys.argv[1:]
descriptor = os.open(directory, os.O_PATH)
forbid_new_privileges()
restrict([(descriptor, Kind[kind])], abi=int(version))
try:
    exec(statement)
except OSError as error:
    print(error.errno)
else:
    print(0)
"""
EACCES, EPERM, EXDEV, ECONNREFUSED = 13, 1, 18, 111
NEWEST = 99

needs = {
    version: pytest.mark.skipif(abi() < version, reason=f"needs Landlock {version}") for version in (1, 2, 3, 4, 6)
}


def attempt(directory: Path, kind: Kind, version: int, statement: str) -> int:
    """The error of a statement in a restricted process, or 0."""
    command = [sys.executable, "-c", PROGRAM, str(directory), kind.name or "", str(version), statement]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout)


@needs[2]
@pytest.mark.parametrize("version", [2, NEWEST])
@pytest.mark.parametrize(
    ("kind", "statement", "error"),
    [
        (Kind.READ, "open('{0}/file').read(); os.listdir('{0}/a')", 0),
        (Kind.READ, "open('{0}/file', 'a')", EACCES),
        (Kind.READ, "os.mkdir('{0}/new')", EACCES),
        (Kind.READ, "os.unlink('{0}/file')", EACCES),
        (Kind.READ, "os.execv('{0}/program', ['program'])", EACCES),
        (Kind.READ, "open('/etc/passwd')", EACCES),
        (Kind.WRITE, "open('{0}/a/new', 'w'); os.rename('{0}/a/new', '{0}/b/new'); os.unlink('{0}/b/new')", 0),
        (Kind.WRITE, "open('{0}/file', 'w'); os.truncate('{0}/file', 0)", 0),
        (Kind.WRITE, "os.mkdir('{0}/new'); os.rmdir('{0}/new')", 0),
        (Kind.WRITE, "os.symlink('/', '{0}/link')", EACCES),
        (Kind.WRITE, "os.mkfifo('{0}/pipe')", EACCES),
        (Kind.WRITE, "os.mknod('{0}/device', 0o020600, os.makedev(1, 3))", EACCES),
        (Kind.WRITE, "socket.socket(socket.AF_UNIX).bind('{0}/socket')", EACCES),
        (Kind.WRITE, "os.execv('{0}/program', ['program'])", EACCES),
        (Kind.EXECUTE, "open('{0}/program').read(0); open('{0}/file', 'a')", EACCES),
    ],
)
def test_given_a_directory_with_rights_then_only_those_are_granted(
    tmp_path: Path, version: int, kind: Kind, statement: str, error: int
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").write_text("content")
    shutil.copy("/bin/true", tmp_path / "program")
    assert attempt(tmp_path, kind, version, statement.format(tmp_path)) == error


@pytest.mark.parametrize(
    ("version", "error"), [pytest.param(2, 0, marks=needs[2]), pytest.param(3, EACCES, marks=needs[3])]
)
def test_given_a_readable_file_when_truncated_then_landlock_denies_it_from_version_3_on(
    tmp_path: Path, version: int, error: int
) -> None:
    (tmp_path / "file").write_text("content")
    assert attempt(tmp_path, Kind.READ, version, f"os.truncate('{tmp_path}/file', 0)") == error


@pytest.mark.parametrize(
    ("version", "error"), [pytest.param(2, ECONNREFUSED, marks=needs[2]), pytest.param(4, EACCES, marks=needs[4])]
)
def test_given_a_connection_then_landlock_denies_it_from_version_4_on(tmp_path: Path, version: int, error: int) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = unused.getsockname()
        assert attempt(tmp_path, Kind.READ, version, f"socket.socket().connect({address!r})") == error


@pytest.mark.parametrize(
    ("version", "error"), [pytest.param(2, 0, marks=needs[2]), pytest.param(6, EPERM, marks=needs[6])]
)
def test_given_a_signal_to_the_parent_then_landlock_denies_it_from_version_6_on(
    tmp_path: Path, version: int, error: int
) -> None:
    assert attempt(tmp_path, Kind.READ, version, "os.kill(os.getppid(), 0)") == error


def test_given_a_kernel_without_landlock_when_restricted_then_the_error_says_what_to_do() -> None:
    with pytest.raises(SandboxUnavailable, match=r"Use Linux 5\.13 or newer"):
        landlock.restrict([], abi=0)
