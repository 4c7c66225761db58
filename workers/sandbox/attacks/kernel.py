"""Sockets, namespaces, and interfaces of the kernel with a large attack surface."""

import fcntl
import os
import resource
import signal
import socket
from functools import partial

from workers.sandbox.attacks.attack import Attempt, NotApplicable, Scene, call, call_number, denied, system_call

_TIOCSTI = 0x5412
_KEYCTL_JOIN, _SESSION_KEYRING = 1, 0
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000

_FAMILIES = (
    (socket.AF_UNIX, socket.SOCK_STREAM),
    (socket.AF_UNIX, socket.SOCK_DGRAM),
    (socket.AF_INET, socket.SOCK_STREAM),
    (socket.AF_INET, socket.SOCK_DGRAM),
    (socket.AF_INET, socket.SOCK_RAW),
    (socket.AF_INET6, socket.SOCK_STREAM),
    (socket.AF_NETLINK, socket.SOCK_RAW),
    (socket.AF_PACKET, socket.SOCK_RAW),
    (socket.AF_VSOCK, socket.SOCK_STREAM),
    (socket.AF_ALG, socket.SOCK_SEQPACKET),
)


def _open_socket(family: socket.AddressFamily, kind: socket.SocketKind, _scene: Scene) -> None:
    socket.socket(family, kind).close()


def _connect(port: str, scene: Scene) -> None:
    """Connect to a TCP port of this host and send a word."""
    if port not in scene.ports:
        raise NotApplicable(port)
    with socket.create_connection(("127.0.0.1", scene.ports[port]), timeout=2) as connection:
        connection.send(b"attack")


def _connect_unix(scene: Scene) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(scene.unix_socket))
        connection.send(b"attack")


def _connect_abstract(scene: Scene) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"\0{scene.unix_socket}")
        connection.send(b"attack")


NETWORK = denied(
    "seccomp",
    {
        "connect to the broker": ("EPERM", "Connects to the broker's port.", partial(_connect, "broker")),
        "connect to a port": ("EPERM", "Connects to a port of this host.", partial(_connect, "listener")),
        "connect to a UNIX socket": ("EPERM", "Connects to a socket in the file system.", _connect_unix),
        "connect to an abstract socket": ("EPERM", "Connects to a socket without a file.", _connect_abstract),
        "socket pair": ("EPERM", "Makes sockets of its own.", lambda _s: socket.socketpair()),
        **{
            f"socket {family.name} {kind.name}": (
                "EPERM",
                f"Opens a socket of the family {family.name}.",
                partial(_open_socket, family, kind),
            )
            for family, kind in _FAMILIES
        },
    },
)


def _clone(flags: int, _scene: Scene) -> None:
    if call("clone", flags, 0, 0, 0, 0) == 0:
        os._exit(0)


def _raise_limit(_scene: Scene) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


_CALLS: dict[str, tuple[str, str, Attempt]] = {
    "user namespace": ("EPERM", "Becomes root of a namespace.", system_call("unshare", _NEW_USER)),
    "network namespace": ("EPERM", "Makes a network of its own.", system_call("unshare", _NEW_NETWORK)),
    "join a namespace": ("EPERM", "Joins a namespace.", system_call("setns", 0, 0)),
    "clone into a namespace": ("ENOSYS EPERM", "Forks into a namespace.", partial(_clone, _NEW_USER | signal.SIGCHLD)),
    "clone3": ("ENOSYS", "Forks with flags that a filter cannot read.", system_call("clone3", 0, 0)),
    "mount": ("EPERM", "Mounts a file system.", system_call("mount", 0, 0, 0, 0, 0)),
    "new mount calls": ("EPERM", "Opens a file system.", system_call("fsopen", 0, 0)),
    "pivot_root": ("EPERM", "Changes the root of all processes.", system_call("pivot_root", 0, 0)),
    "chroot": ("EPERM", "Changes its root directory.", lambda _s: os.chroot("/")),
    "bpf": ("EPERM", "Loads a program into the kernel.", system_call("bpf", 0, 0, 0)),
    "perf": ("EPERM", "Observes other processes.", system_call("perf_event_open", 0, 0, -1, -1, 0)),
    "userfaultfd": ("EPERM", "Stops the kernel in a page fault.", system_call("userfaultfd", 0)),
    "keyctl": ("EPERM", "Uses keys of its user.", system_call("keyctl", _SESSION_KEYRING, -3, 0)),
    "join a keyring": ("EPERM", "Joins a session keyring.", system_call("keyctl", _KEYCTL_JOIN, 0)),
    "request a key": ("EPERM", "Has the kernel run a program.", system_call("request_key", 0, 0, 0, 0)),
    "io_uring": ("ENOSYS", "Makes calls past the filter.", system_call("io_uring_setup", 1, 0)),
    "personality": ("EPERM", "Disables protections of memory.", system_call("personality", 0x0040000)),
    "modify_ldt": ("EPERM", "Changes memory segments.", system_call("modify_ldt", 0, 0, 0)),
    "another filter": ("EPERM", "Loads a filter of its own.", system_call("seccomp", 0, 0, 0)),
    "memory file": ("ENOSYS", "Makes a file outside all directories.", lambda _s: os.memfd_create("name")),
    "secret memory": ("ENOSYS", "Makes memory that nobody measures.", system_call("memfd_secret", 0)),
    "space without writing": ("ENOTSUP", "Takes disk space without writing.", system_call("fallocate", -1, 0, 0, 1)),
    "unknown call": ("ENOSYS", "Makes a call of a future kernel.", lambda _s: call_number(9999)),
    "become root": ("EPERM", "Changes its user.", lambda _s: os.setuid(0)),
    "change groups": ("EPERM", "Changes its groups.", lambda _s: os.setgroups([0])),
    "gain capabilities": ("EPERM", "Gains capabilities.", system_call("capset", 0, 0)),
    "new session": ("EPERM", "Leaves its session.", lambda _s: os.setsid()),
    "new group": ("EPERM", "Leaves its process group.", system_call("setpgid", 0, 0)),
    "raise a limit": ("ENOSYS EPERM", "Raises its limit of file sizes.", _raise_limit),
    "core dump": ("ENOSYS EPERM", "Permits a core dump.", lambda _s: resource.setrlimit(resource.RLIMIT_CORE, (0, 0))),
    "priority": ("EPERM", "Changes its priority.", lambda _s: os.setpriority(os.PRIO_PROCESS, 0, 19)),
    "processors": ("EPERM", "Chooses its processors.", lambda _s: os.sched_setaffinity(0, {0})),
    "real time": ("EPERM", "Takes a processor for itself.", system_call("sched_setscheduler", 0, 1, 0)),
    "input priority": ("EPERM", "Changes its priority at the disk.", system_call("ioprio_set", 1, 0, 0)),
    "shared segment": ("EPERM", "Shares memory with others.", system_call("shmget", 0, 4096, 0o1600)),
    "semaphores": ("EPERM", "Makes semaphores that stay.", system_call("semget", 0, 1, 0o1600)),
    "message queue": ("EPERM", "Makes a queue that stays.", system_call("msgget", 0, 0o1600)),
    "POSIX message queue": ("EPERM", "Makes a queue that stays.", system_call("mq_open", 0, 0, 0, 0)),
    "terminal input": ("ENOSYS", "Types into a terminal.", lambda _s: fcntl.ioctl(0, _TIOCSTI, b"x")),
    "kernel module": ("EPERM", "Loads a module.", system_call("init_module", 0, 0, 0)),
    "reboot": ("EPERM", "Restarts the machine.", lambda _s: call("reboot", 0, 0, 0, 0)),
    "clock": ("EPERM", "Sets the clock.", system_call("clock_settime", 0, 0)),
    "host name": ("EPERM", "Names the machine.", system_call("sethostname", 0, 0)),
    "swap": ("EPERM", "Switches swap off.", system_call("swapoff", 0)),
    "kernel's messages": ("EPERM", "Reads the kernel's messages.", system_call("syslog", 2, 0, 0)),
    "lock memory": ("EPERM", "Locks all of its memory.", system_call("mlockall", 3)),
}

CALLS = denied("seccomp", _CALLS)
