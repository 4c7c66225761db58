"""A systemd of the test's own: real units, real cgroups, on a machine whose PID 1 may be something else.

Root only. It runs in namespaces over an overlay of the root file system (`private_systemd.sh`), so nothing that its
units do to files stays; what shall stay is shown inside by `binds`. Nothing of it is left when the block ends.
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

CGROUPS = Path("/sys/fs/cgroup")
PREFIX = "bulkhead-private-"
BOOT = Path(__file__).with_suffix(".sh")
INSTEAD = "leave the tests of units out"

# Seconds that it may take to boot (3 where nothing else runs), and the kernel to take leave of it.
BOOT_PATIENCE = 60.0
LEAVE_PATIENCE = 10.0


class NotRoot(NotInstalled):
    """Namespaces and cgroups for a systemd are given to root only."""

    def __init__(self) -> None:
        RuntimeError.__init__(self, f"A private systemd needs root. Run the tests as root, or {INSTEAD}.")


class NotAllowed(NotInstalled):
    """Root is not allowed to make namespaces or cgroups here, as in most containers."""

    def __init__(self, said: str) -> None:
        RuntimeError.__init__(self, f"A private systemd cannot be booted here; {INSTEAD}. It said:\n{said}")


class PrivateSystemd:
    """A running systemd. `pid` is its PID 1 as seen from here."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid = pid
        self.log = log

    def run(self, *command: str, check: bool = True, timeout: float = 120) -> str:
        """Run a command inside, as root; what it printed. Raises AssertionError with its output if it failed."""
        done = subprocess.run(
            ["nsenter", "-t", str(self.pid), "-a", "--", *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def systemctl(self, *arguments: str, check: bool = True) -> str:
        """`systemctl` inside."""
        return self.run("systemctl", "--no-pager", *arguments, check=check)

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.systemctl("show", unit, f"--property={name}", "--value").strip()

    def journal(self, unit: str, lines: int = 80) -> str:
        """The end of a unit's journal."""
        return self.run("journalctl", "--no-pager", "--output=cat", f"--lines={lines}", f"--unit={unit}", check=False)

    def main_pid(self, unit: str) -> int:
        """The main process of a unit, as seen from here."""
        return self.outside(int(self.show(unit, "MainPID")))

    def outside(self, inside: int) -> int:
        """The process id here of one that has the id `inside`. Raises ProcessLookupError."""
        for process in psutil.Process(self.pid).children(recursive=True):
            with suppress(OSError):
                status = Path(f"/proc/{process.pid}/status").read_text()
                # proc(5): NSpid names it in every namespace, the innermost last.
                if int(status.partition("NSpid:")[2].split("\n", 1)[0].split()[-1]) == inside:
                    return process.pid
        raise ProcessLookupError(inside)


@contextmanager
def private_systemd(home: Path, files: Path, binds: Mapping[Path, str]) -> Iterator[PrivateSystemd]:
    """Boot one below `home`, an empty directory: `files` are laid over its root, `binds` are shown inside.

    Raises NotInstalled (NotRoot, NotAllowed), or TimeoutError with what it said if it does not boot in time.
    """
    if os.geteuid() != 0:
        raise NotRoot
    find_program("/lib/systemd/systemd", "systemd", INSTEAD)
    for program in ("nsenter", "unshare"):
        find_program(program, "util-linux", INSTEAD)
    shutil.copytree(files, home / "files", symlinks=True)
    (home / "binds").write_text("".join(f"{outside} {inside}\n" for outside, inside in binds.items()))
    sweep()
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
        # Its PID 1 ends with `unshare --kill-child`, and with that everything in its namespaces.
        process.kill()
        process.wait()
        _remove(group)


def sweep() -> None:
    """Remove the cgroups of test runs that were killed themselves."""
    for hierarchy in _hierarchies():
        for path in hierarchy.glob(f"{PREFIX}*"):
            if not psutil.pid_exists(int(path.name.removeprefix(PREFIX).partition("-")[0])):
                _remove_tree(path)


def _booted(process: "subprocess.Popen[bytes]", log: Path) -> PrivateSystemd:
    deadline = time.monotonic() + BOOT_PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children():
                systemd = PrivateSystemd(child.pid, log)
                if systemd.run("systemctl", "is-system-running", check=False).strip() in ("running", "degraded"):
                    return systemd
        time.sleep(0.1)
    said = log.read_text(errors="replace")[-4000:]
    if process.poll() is not None:
        raise NotAllowed(said)
    raise TimeoutError(f"The private systemd did not boot within {BOOT_PATIENCE:g} s. It said:\n{said}")


def _hierarchies() -> list[Path]:
    return [CGROUPS, *(path for path in CGROUPS.iterdir() if path.is_dir() and not path.is_symlink())]


def _remove(group: str) -> None:
    for hierarchy in _hierarchies():
        _remove_tree(hierarchy / group)


def _remove_tree(path: Path) -> None:
    """Remove a cgroup and those in it, the innermost first; whoever is left in them is ended."""
    deadline = time.monotonic() + LEAVE_PATIENCE
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
