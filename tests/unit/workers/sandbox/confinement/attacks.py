"""What a confined process tries in vain, and what it must be able to do. `confined` runs these in such a process."""

import ctypes
import fcntl
import mmap
import os
import resource
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

# Limits of the confined process: bytes of a file, descriptors, seconds of processor time.
MAX_FILE_SIZE = 1024**2
MAX_DESCRIPTORS = 200
CPU_TIME = 1

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


@dataclass(frozen=True)
class Scene:
    """Paths of an attack: a source, a directory that may be read, one to write, and a file of somebody else."""

    source: Path
    readable: Path
    work: Path
    secret: Path


Attack = Callable[[Scene], object]


def call(number: int, *arguments: int) -> int:
    """Make a system call by its number on x86_64, with 64-bit arguments."""
    result: int = _libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
    if result == -1:
        raise OSError(ctypes.get_errno(), "failed")
    return result


def system_call(number: int, *arguments: int) -> Attack:
    """An attack that makes one system call."""
    return lambda _scene: call(number, *arguments)


def opening(path: str | Path, flags: int = os.O_RDONLY) -> None:
    os.close(os.open(path, flags, 0o600))


def listing(directory: str | Path) -> list[Path]:
    return list(Path(directory).iterdir())


def open_socket(family: socket.AddressFamily, kind: socket.SocketKind, _scene: Scene) -> None:
    socket.socket(family, kind).close()


def fork(_scene: Scene) -> None:
    if os.fork() == 0:
        os._exit(0)


def trace_parent(_scene: Scene) -> None:
    call(101, 16, os.getppid(), 0, 0)  # PTRACE_ATTACH


def own_signals(_scene: Scene) -> None:
    """Have the kernel send a signal to the parent when a pipe becomes readable."""
    reader, _writer = os.pipe()
    fcntl.fcntl(reader, fcntl.F_SETOWN, os.getppid())


def reopen_source(scene: Scene) -> None:
    """A descriptor for reading becomes one for writing through /proc."""
    descriptor = os.open(scene.source, os.O_RDONLY)
    opening(f"/proc/self/fd/{descriptor}", os.O_RDWR)


FILES: dict[str, tuple[str, Attack]] = {
    "secret": ("EACCES", lambda scene: opening(scene.secret)),
    "secret through /proc": ("EACCES", lambda scene: opening(f"/proc/self/root{scene.secret}")),
    "secret truncated": ("EACCES", lambda scene: opening(scene.secret, os.O_WRONLY | os.O_TRUNC)),
    "users": ("EACCES", lambda _scene: opening("/etc/passwd")),
    "hosts": ("EACCES", lambda _scene: opening("/etc/hosts")),
    "root listed": ("EACCES", lambda _scene: listing("/")),
    "neighbours listed": ("EACCES", lambda scene: listing(scene.work.parent)),
    "environment of another": ("EACCES", lambda _scene: opening("/proc/1/environ")),
    "memory of the parent": ("EACCES", lambda _scene: opening(f"/proc/{os.getppid()}/mem")),
    "command of the parent": ("EACCES", lambda _scene: opening(f"/proc/{os.getppid()}/cmdline")),
    "processes": ("EACCES", lambda _scene: listing("/proc")),
    "sockets of the machine": ("EACCES", lambda _scene: opening("/proc/self/net/unix")),
    "mounts": ("EACCES", lambda _scene: opening("/proc/self/mountinfo")),
    "own memory": ("EACCES", lambda _scene: opening("/proc/self/mem", os.O_RDWR)),
    "write the source": ("EACCES", lambda scene: opening(scene.source, os.O_WRONLY)),
    "write the source through /proc": ("EACCES", reopen_source),
    "create elsewhere": ("EACCES", lambda scene: opening(scene.work.parent / "new", os.O_WRONLY | os.O_CREAT)),
    "temporary files": ("EACCES", lambda _scene: listing("/tmp")),
    "shared memory": ("EACCES", lambda _scene: listing("/dev/shm")),
    "remove a readable file": ("EACCES", lambda scene: (scene.readable / "file").unlink()),
    "move a readable file": ("EACCES", lambda scene: (scene.readable / "other").rename(scene.work / "moved")),
}

CALLS: dict[str, tuple[str, Attack]] = {
    "truncate a readable file": ("EPERM", lambda scene: os.truncate(scene.readable / "file", 0)),
    "open and truncate": ("ENOSYS", lambda scene: opening(scene.readable / "file", os.O_RDONLY | os.O_TRUNC)),
    "truncate without access": ("ENOSYS", lambda scene: opening(scene.readable / "file", os.O_ACCMODE | os.O_TRUNC)),
    "hard link of a readable file": ("EXDEV", lambda scene: (scene.work / "hard").hardlink_to(scene.readable / "file")),
    "symbolic link": ("EPERM", lambda scene: (scene.work / "soft").symlink_to("/etc/passwd")),
    "pipe in a directory": ("EPERM", lambda scene: os.mkfifo(scene.work / "fifo")),
    "device": ("EPERM", lambda scene: os.mknod(scene.work / "device", 0o020666, os.makedev(1, 3))),
    "mode": ("EPERM", lambda scene: (scene.work / "own").chmod(0o4755)),
    "owner": ("EPERM", lambda scene: os.chown(scene.work / "own", 0, 0)),
    "times": ("EPERM", lambda scene: os.utime(scene.work / "own")),
    "attribute": ("EPERM", lambda scene: os.setxattr(scene.work / "own", "user.name", b"value")),
    "lock": ("EPERM", lambda scene: fcntl.flock(os.open(scene.source, os.O_RDONLY), fcntl.LOCK_EX)),
    **{
        f"socket of family {family.name}": ("EPERM", partial(open_socket, family, kind))
        for family, kind in (
            (socket.AF_UNIX, socket.SOCK_STREAM),
            (socket.AF_INET, socket.SOCK_STREAM),
            (socket.AF_INET6, socket.SOCK_DGRAM),
            (socket.AF_NETLINK, socket.SOCK_RAW),
            (socket.AF_PACKET, socket.SOCK_RAW),
            (socket.AF_VSOCK, socket.SOCK_STREAM),
        )
    },
    "socket pair": ("EPERM", lambda _scene: socket.socketpair()),
    "trace the parent": ("EPERM", trace_parent),
    "read memory of the parent": ("EPERM", lambda _scene: call(310, os.getppid(), 0, 0, 0, 0)),
    "descriptor of the parent": ("EPERM", lambda _scene: os.pidfd_open(os.getppid())),
    "signals by fcntl": ("ENOSYS", own_signals),
    "tkill": ("EPERM", lambda _scene: call(200, os.getppid(), 0)),
    "sigqueue": ("EPERM", lambda _scene: call(129, os.getppid(), 0, 0)),
    "namespace": ("EPERM", system_call(272, 0x10000000)),
    "join a namespace": ("EPERM", system_call(308, 0, 0)),
    "mount": ("EPERM", system_call(165, 0, 0, 0, 0, 0)),
    "new mount": ("EPERM", system_call(430, 0, 0)),
    "root directory": ("EPERM", lambda _scene: os.chroot("/")),
    "bpf": ("EPERM", system_call(321, 0, 0, 0)),
    "perf": ("EPERM", system_call(298, 0, 0, -1, -1, 0)),
    "userfaultfd": ("EPERM", system_call(323, 0)),
    "keys": ("EPERM", system_call(250, 0, -3, 0)),
    "personality": ("EPERM", system_call(135, 0xFFFFFFFF)),
    "segments": ("EPERM", system_call(154, 0, 0, 0)),
    "filter": ("EPERM", system_call(317, 0, 0, 0)),
    "io_uring": ("ENOSYS", system_call(425, 1, 0)),
    "clone3": ("ENOSYS", system_call(435, 0, 0)),
    "openat2": ("ENOSYS", system_call(437, -100, 0, 0, 0)),
    "memory file": ("ENOSYS", lambda _scene: os.memfd_create("name")),
    "unknown call": ("ENOSYS", system_call(9999)),
    "handle": ("EPERM", system_call(304, -100, 0, 0)),
    "user": ("EPERM", lambda _scene: os.setuid(os.getuid())),
    "session": ("EPERM", lambda _scene: os.setsid()),
    "survive the parent": ("ENOSYS", system_call(157, 1, 0)),
    "limit": ("ENOSYS", lambda _scene: resource.setrlimit(resource.RLIMIT_CORE, (0, 0))),
    "limit of the parent": ("ENOSYS", lambda _scene: resource.prlimit(os.getppid(), resource.RLIMIT_CORE)),
    "priority": ("EPERM", lambda _scene: os.setpriority(os.PRIO_PROCESS, 0, 19)),
    "processors": ("EPERM", lambda _scene: os.sched_setaffinity(0, {0})),
    "shared segment": ("EPERM", system_call(29, 0, 4096, 0o1600)),
    "semaphores": ("EPERM", system_call(64, 0, 1, 0o1600)),
    "message queue": ("EPERM", system_call(68, 0, 0o1600)),
    "POSIX message queue": ("EPERM", system_call(240, 0, 0, 0, 0)),
    "terminal input": ("ENOSYS", lambda _scene: fcntl.ioctl(0, 0x5412, b"x")),
}

SIGNALS: dict[str, tuple[str, Attack]] = {
    "signal to the parent": ("EPERM", lambda _scene: os.kill(os.getppid(), 0)),
    "signal to the group": ("EPERM", lambda _scene: os.kill(0, 0)),
    "signal to all": ("EPERM", lambda _scene: os.kill(-1, 0)),
    "signal to a thread of the parent": ("EPERM", lambda _scene: call(234, os.getppid(), os.getppid(), 0)),
}

PROCESSES: dict[str, tuple[str, Attack]] = {
    "fork": ("ENOSYS", fork),
    "vfork": ("EPERM", system_call(58)),
    "program": ("EPERM", lambda _scene: os.execv("/bin/true", ["true"])),  # noqa: S606
    "program of a descriptor": ("EPERM", system_call(322, -1, 0, 0, 0, 0x1000)),
}

LIMITS: dict[str, tuple[str, Attack]] = {
    "large file": ("EFBIG", lambda scene: (scene.work / "large").write_bytes(bytes(MAX_FILE_SIZE + 1))),
    "many descriptors": ("EBADF", lambda _scene: os.dup2(0, MAX_DESCRIPTORS)),
    "file without permission": ("EACCES", lambda scene: opening(scene.work / "closed")),
}

ATTACKS = {**FILES, **CALLS, **SIGNALS, **PROCESSES, **LIMITS}


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


def run_own_program(scene: Scene) -> None:
    """A program that this process wrote itself."""
    descriptor = os.open(scene.work / "program", os.O_WRONLY | os.O_CREAT, 0o755)
    os.write(descriptor, b"#!/bin/sh\n")
    os.close(descriptor)
    subprocess.run([scene.work / "program"])


def call_as_32_bit(_scene: Scene) -> None:
    """Make a call through the interrupt of i386, whose numbers differ."""
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, 20 (getpid); int 0x80; ret
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()


# Each ends the process.
FATAL: dict[str, tuple[signal.Signals, Attack]] = {
    "processor time": (signal.SIGXCPU, spin),
    "32-bit call": (signal.SIGSYS, call_as_32_bit),
    "x32 call": (signal.SIGSYS, system_call(0x40000000 | 39)),
    "abort": (signal.SIGABRT, lambda _scene: os.abort()),
}

PROGRAMS: dict[str, tuple[str, Attack]] = {
    "shell": ("allowed", run_program),
    "program of its own": ("EACCES", run_own_program),
}


def read_status(_scene: Scene) -> None:
    """The status of the process, which shows that it has no capabilities and gains none."""
    fields = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    assert {fields[name].strip("0") for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {""}
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")


USES: dict[str, Attack] = {
    "source": lambda scene: scene.source.read_bytes(),
    "source through /proc": lambda scene: opening(f"/proc/self/fd/{os.open(scene.source, os.O_RDONLY)}"),
    "readable directory": lambda scene: [path.read_bytes() for path in listing(scene.readable)],
    "work": use_directory,
    "thread": use_thread,
    "signals of its own": handle_signal,
    "own status": read_status,
    "own descriptors": lambda _scene: listing("/proc/self/fd"),
    "own mappings": lambda _scene: Path("/proc/self/maps").read_text(),
    "null": lambda _scene: Path("/dev/null").write_bytes(b"x"),
    "random": lambda _scene: opening("/dev/urandom"),
    "limits": lambda _scene: resource.getrlimit(resource.RLIMIT_CORE),
    "libraries": lambda _scene: listing("/usr/lib"),
    "fonts": lambda _scene: listing("/usr/share/fonts"),
    "pipe": lambda _scene: os.pipe(),
}
