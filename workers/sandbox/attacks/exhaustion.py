"""Memory, processor time, disk, threads and descriptors. Each stops by itself a little beyond its limit."""

import ctypes
import errno
import mmap
import os
import signal
import subprocess
import threading
import time
from itertools import count

from workers.sandbox.attacks.attack import Scene, call_number, denied, fatal

_BLOCK = 4 * 1024**2
_MANY_THREADS = 400
_MANY_PROCESSES = 200
_MANY_DESCRIPTORS = 4096


def _linger() -> None:
    """Give the supervisor time to measure, without being idle."""
    for _ in range(30):
        end = time.process_time() + 0.012
        while time.process_time() < end:
            pass
        time.sleep(0.04)


def _allocate(scene: Scene) -> None:
    blocks: list[bytes] = []
    while len(blocks) * _BLOCK < 1.5 * scene.memory:
        blocks.append(b"x" * _BLOCK)
    _linger()


def _allocate_shared(scene: Scene) -> None:
    """Memory that belongs to no process."""
    size = int(1.5 * scene.memory)
    mapping = mmap.mmap(-1, size)
    for offset in range(0, size, _BLOCK):
        mapping[offset : offset + _BLOCK] = b"x" * min(_BLOCK, size - offset)
    _linger()


def _spin(scene: Scene) -> None:
    end = 3 * scene.seconds
    while time.process_time() < end:
        pass


def _spin_ignoring_signals(scene: Scene) -> None:
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    _spin(scene)


def _hang(scene: Scene) -> None:
    time.sleep(4 * scene.seconds)


def _close_pipe_and_hang(scene: Scene) -> None:
    os.closerange(0, 64)
    _hang(scene)


def _large_file(scene: Scene) -> None:
    with (scene.work / "large").open("wb") as file:
        for _ in range(0, int(1.5 * scene.file) + 1, _BLOCK):
            file.write(bytes(_BLOCK))


def _fill_disk(scene: Scene, *, keeps: bool = True, size: int = _BLOCK) -> None:
    """Write files that stay, or that are removed while they are open."""
    descriptors = []
    for number in range(int(1.5 * scene.disk) // size + 1):
        path = scene.work / f"file-{number}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
        os.write(descriptor, bytes(size))
        if keeps:
            os.close(descriptor)
        else:
            path.unlink()
            descriptors.append(descriptor)
    _linger()


def _many_files(scene: Scene) -> None:
    """Use up the inodes of the file system by empty files."""
    for number in range(int(2 * scene.disk) // 4096):
        os.close(os.open(scene.work / f"empty-{number}", os.O_WRONLY | os.O_CREAT))
    _linger()


def _many_directories(scene: Scene) -> None:
    for number in range(int(2 * scene.disk) // 4096):
        (scene.work / f"directory-{number}").mkdir()
    _linger()


def _deep_directories(scene: Scene) -> None:
    """Nest directories deeper than a path can be long, so that nobody can list or remove them."""
    os.chdir(scene.work)
    for _ in range(3000):
        os.mkdir("d")  # noqa: PTH102 - relative to a directory whose path is too long
        os.chdir("d")
    _linger()


def _write_mapped(scene: Scene) -> None:
    """Write by memory, not by calls."""
    for number in count():
        if number * _BLOCK > 1.5 * scene.disk:
            break
        with (scene.work / f"mapped-{number}").open("w+b") as file:
            file.truncate(_BLOCK)
            with mmap.mmap(file.fileno(), _BLOCK) as mapping:
                mapping[:] = b"x" * _BLOCK
    _linger()


def _start_threads(scene: Scene) -> None:
    done = threading.Event()
    threads = [threading.Thread(target=done.wait, args=(2 * scene.seconds,), daemon=True) for _ in range(_MANY_THREADS)]
    try:
        for thread in threads:
            thread.start()
        _linger()
    except RuntimeError as error:  # where a cgroup limits threads
        raise BlockingIOError(errno.EAGAIN, str(error)) from error
    finally:
        done.set()


def _overflow_stack(_scene: Scene) -> None:
    ctypes.string_at(8)


def _call_as_32_bit(_scene: Scene) -> None:
    """Make a call through the interrupt of i386, whose numbers differ."""
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, 20 (getpid); int 0x80; ret
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()


def _die_by_alarm(_scene: Scene) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    time.sleep(5)


EXHAUSTION = (
    *fatal(
        "memory limit",
        {
            "memory": ("out-of-memory", "Allocates more memory than its limit.", _allocate),
            "shared memory": ("out-of-memory", "Allocates shared memory beyond its limit.", _allocate_shared),
        },
    ),
    *fatal(
        "time limit",
        {
            "endless loop": ("time-limit", "Computes without end.", _spin),
            "endless loop without signals": ("time-limit", "Ignores the signal at its limit.", _spin_ignoring_signals),
        },
    ),
    *fatal(
        "idle limit",
        {
            "hang": ("hung", "Sleeps without end.", _hang),
            "hang without a pipe": ("hung", "Closes its pipe and sleeps.", _close_pipe_and_hang),
        },
    ),
    *fatal(
        "disk quota",
        {
            "fill the disk": ("quota-exceeded", "Writes files without end.", _fill_disk),
            "fill the disk with removed files": (
                "quota-exceeded",
                "Writes files that it has removed.",
                lambda scene: _fill_disk(scene, keeps=False, size=1024**2),
            ),
            "fill the disk by memory": ("quota-exceeded", "Writes files that it has mapped.", _write_mapped),
            "empty files": ("quota-exceeded time-limit", "Creates files without end.", _many_files),
            "directories": ("quota-exceeded time-limit", "Creates directories without end.", _many_directories),
            "deep directories": ("quota-exceeded", "Nests directories that no path reaches.", _deep_directories),
        },
    ),
    *fatal("file-size", {"one large file": ("quota-exceeded", "Writes a file without end.", _large_file)}),
    *fatal("thread limit", {"thread bomb": ("quota-exceeded EAGAIN", "Starts threads without end.", _start_threads)}),
    *fatal(
        "explanation",
        {
            "crash": ("native-crash", "Reads memory that does not exist.", _overflow_stack),
            "abort": ("native-crash", "Aborts.", lambda _scene: os.abort()),
            "death by a timer": ("native-crash", "Has a timer end it.", _die_by_alarm),
            "exit code": ("native-crash", "Ends with an exit code of its own.", lambda _scene: os._exit(3)),
        },
    ),
    *(
        fatal(
            "seccomp",
            {
                "32-bit call": ("native-crash", "Calls the kernel as a 32-bit program.", _call_as_32_bit),
                "x32 call": (
                    "native-crash",
                    "Calls the kernel as an x32 program.",
                    lambda _scene: call_number(0x40000000 | 39),
                ),
            },
        )
        if os.uname().machine == "x86_64"
        else ()
    ),
)

DESCRIPTORS = denied(
    "descriptors",
    {
        "many descriptors": (
            "EBADF EMFILE",
            "Opens more files than its limit.",
            lambda _scene: os.dup2(0, _MANY_DESCRIPTORS),
        )
    },
)


def _fork_bomb(scene: Scene) -> None:
    """Start processes without end, as a helper program could."""
    command = ["/bin/sleep", str(4 * scene.seconds)]
    children = [subprocess.Popen(command) for _ in range(_MANY_PROCESSES)]
    time.sleep(scene.seconds)
    for child in children:
        child.kill()
        child.wait()


# Of a helper program.
FORK_BOMB = fatal(
    "thread limit",
    {"fork bomb": ("quota-exceeded out-of-memory EAGAIN", "Starts processes without end.", _fork_bomb)},
)
