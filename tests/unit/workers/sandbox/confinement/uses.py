"""What a confined process must be able to do. `confined` runs these, and attacks, in such a process."""

import os
import resource
import signal
import subprocess
import threading
import time
from pathlib import Path

from workers.sandbox.attacks.attack import Attempt, Scene, listing, opening

# Limits of the confined process: bytes of a file, descriptors, seconds of processor time.
MAX_FILE_SIZE = 1024**2
MAX_DESCRIPTORS = 200
CPU_TIME = 1


def spin(_scene: Scene) -> None:
    """Use more processor time than permitted: the kernel kills the process."""
    while time.process_time() < 1.5:
        pass


def use_directory(scene: Scene) -> None:
    """Make, write, move between directories and remove files."""
    (scene.work / "a").mkdir()
    (scene.work / "b").mkdir()
    (scene.work / "a/file").write_bytes(b"content")
    (scene.work / "a/file").rename(scene.work / "b/file")
    with (scene.work / "b/file").open("r+b") as file:
        file.truncate(3)
    assert (scene.work / "b/file").read_bytes() == b"con"
    (scene.work / "b/file").unlink()
    (scene.work / "b").rmdir()


def use_thread(_scene: Scene) -> None:
    thread = threading.Thread(target=os.getpid)
    thread.start()
    thread.join()


def handle_signal(_scene: Scene) -> None:
    received: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, _frame: received.append(number))
    signal.raise_signal(signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert received == [signal.SIGUSR1, signal.SIGUSR1]


def run_program(scene: Scene) -> None:
    """A program that starts others."""
    subprocess.run(["/bin/sh", "-c", "echo content | cat >output"], cwd=scene.work, check=True)
    assert (scene.work / "output").read_text() == "content\n"


# Each ends the process.
FATAL: dict[str, tuple[signal.Signals, Attempt]] = {
    "processor time": (signal.SIGXCPU, spin),
    "abort": (signal.SIGABRT, lambda _scene: os.abort()),
}

USES: dict[str, Attempt] = {
    "source": lambda scene: scene.source.read_bytes(),
    "source through /proc": lambda scene: opening(f"/proc/self/fd/{os.open(scene.source, os.O_RDONLY)}"),
    "readable directory": lambda scene: [path.read_bytes() for path in listing(scene.readable)],
    "work": use_directory,
    "thread": use_thread,
    "signals of its own": handle_signal,
    "own status": lambda _scene: Path("/proc/self/status").read_text(),
    "own descriptors": lambda _scene: listing("/proc/self/fd"),
    "own mappings": lambda _scene: Path("/proc/self/maps").read_text(),
    "null": lambda _scene: Path("/dev/null").write_bytes(b"x"),
    "random": lambda _scene: opening("/dev/urandom"),
    "limits": lambda _scene: resource.getrlimit(resource.RLIMIT_CORE),
    "libraries": lambda _scene: listing("/usr/lib"),
    "fonts": lambda _scene: listing("/usr/share/fonts"),
    "pipe": lambda _scene: os.pipe(),
}

# What a helper program may do in addition.
PROGRAM_USES: dict[str, Attempt] = {"shell": run_program}
