"""A private systemd: real units and real cgroups on a machine whose PID 1 may be something else.

Needs root. It runs in namespaces with an overlay of the root file system (`private_systemd.sh`), so changes of files
are discarded, except in directories mounted with `binds`. All of it is removed at the end of the block.
"""

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from cli.embedded.process import NotInstalled, find_program
from tasks.errors import ServiceUnavailable

CGROUPS = Path("/sys/fs/cgroup")
PREFIX = "bulkhead-private-"
BOOT = Path(__file__).with_suffix(".sh")
INSTEAD = "leave the tests of units out"

# Seconds: to boot (3 on an idle machine), and until the kernel has removed its processes.
BOOT_TIMEOUT = 60.0
REMOVE_TIMEOUT = 10.0


class NotRoot(NotInstalled):
    """Only root may create namespaces and cgroups for a systemd."""

    def __init__(self) -> None:
        ServiceUnavailable.__init__(self, f"A private systemd needs root. Run the tests as root, or {INSTEAD}.")


class NotAllowed(NotInstalled):
    """Root may not create namespaces or cgroups here, as in most containers."""

    def __init__(self, output: str) -> None:
        ServiceUnavailable.__init__(self, f"A private systemd cannot be booted here; {INSTEAD}. Its output:\n{output}")


class PrivateSystemd:
    """A running systemd. `pid` is the process id of its PID 1 outside of its namespaces."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid = pid
        self.log = log

    def run(self, *command: str, check: bool = True, timeout: float = 120) -> str:
        """Run a command inside as root. Returns its output. Raises AssertionError with the output if it fails."""
        completed = subprocess.run(
            ["nsenter", "-t", str(self.pid), "-a", "--", *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if check and completed.returncode != 0:
            raise AssertionError(
                f"{' '.join(command)}: exit code {completed.returncode}\n{completed.stdout}{completed.stderr}"
            )
        return completed.stdout

    def systemctl(self, *arguments: str, check: bool = True) -> str:
        """Run `systemctl` inside."""
        return self.run("systemctl", "--no-pager", *arguments, check=check)

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.systemctl("show", unit, f"--property={name}", "--value").strip()

    def journal(self, unit: str, lines: int = 80) -> str:
        """The end of a unit's journal."""
        return self.run("journalctl", "--no-pager", "--output=cat", f"--lines={lines}", f"--unit={unit}", check=False)

    def main_pid(self, unit: str) -> int:
        """The process id, outside, of the main process of a unit."""
        return self.outside(int(self.show(unit, "MainPID")))

    def outside(self, inside: int) -> int:
        """Convert a process id from inside to outside. Raises ProcessLookupError."""
        for process in psutil.Process(self.pid).children(recursive=True):
            with suppress(OSError):
                status = Path(f"/proc/{process.pid}/status").read_text()
                # proc(5): NSpid has its id in each namespace, the innermost last.
                if int(status.partition("NSpid:")[2].split("\n", 1)[0].split()[-1]) == inside:
                    return process.pid
        raise ProcessLookupError(inside)


@contextmanager
def private_systemd(home: Path, files: Path, binds: Mapping[Path, str]) -> Iterator[PrivateSystemd]:
    """Boot a systemd below the empty directory `home`, with `files` copied over its root and `binds` mounted.

    Raises NotInstalled (NotRoot, NotAllowed), or TimeoutError with its output if it does not boot in time.
    """
    if os.geteuid() != 0:
        raise NotRoot
    find_program("/lib/systemd/systemd", "systemd", INSTEAD)
    for program in ("nsenter", "unshare"):
        find_program(program, "util-linux", INSTEAD)
    shutil.copytree(files, home / "files", symlinks=True)
    (home / "binds").write_text("".join(f"{outside} {inside}\n" for outside, inside in binds.items()))
    remove_stale_cgroups()
    group = f"{PREFIX}{os.getpid()}-{secrets.token_hex(3)}"
    log = home / "console.log"
    with log.open("wb") as console:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", "sh", str(BOOT), str(home), group],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _booted(process, log)
    finally:
        # `unshare --kill-child` ends its PID 1, and with it all processes of its namespaces.
        process.kill()
        process.wait()
        _remove(group)


def remove_stale_cgroups() -> None:
    """Remove cgroups of killed test runs."""
    for hierarchy in _hierarchies():
        for path in hierarchy.glob(f"{PREFIX}*"):
            if not psutil.pid_exists(int(path.name.removeprefix(PREFIX).partition("-")[0])):
                _remove_tree(path)


def _booted(process: "subprocess.Popen[bytes]", log: Path) -> PrivateSystemd:
    deadline = time.monotonic() + BOOT_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children():
                systemd = PrivateSystemd(child.pid, log)
                if systemd.run("systemctl", "is-system-running", check=False).strip() in ("running", "degraded"):
                    return systemd
        time.sleep(0.1)
    output = log.read_text(errors="replace")[-4000:]
    if process.poll() is not None:
        raise NotAllowed(output)
    raise TimeoutError(f"The private systemd did not boot within {BOOT_TIMEOUT:g} s. Its output:\n{output}")


def _hierarchies() -> list[Path]:
    return [CGROUPS, *(path for path in CGROUPS.iterdir() if path.is_dir() and not path.is_symlink())]


def _remove(group: str) -> None:
    for hierarchy in _hierarchies():
        _remove_tree(hierarchy / group)


def _remove_tree(path: Path) -> None:
    """Remove a cgroup and its children, the innermost first. Remaining processes are killed."""
    deadline = time.monotonic() + REMOVE_TIMEOUT
    while path.is_dir():
        for inner, _folders, _files in os.walk(path, topdown=False):
            with suppress(OSError):
                for pid in (Path(inner) / "cgroup.procs").read_text().split():
                    os.kill(int(pid), signal.SIGKILL)
            with suppress(OSError):
                Path(inner).rmdir()
        if path.is_dir():
            if time.monotonic() > deadline:
                raise TimeoutError(f"The cgroup {path} cannot be removed.")
            time.sleep(0.05)
