"""The system calls of a confined process: what a render and a helper program may call.

Every call that is not listed fails with ENOSYS, as on a kernel without it, so that libraries fall back to an older one.
Calls of DENIED fail with EPERM, as for a user without the right, and those of UNSUPPORTED with EOPNOTSUPP.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from tasks.utils.system_calls import PR_GET_OPTIONS, PR_SET_NAME, PR_SET_VMA


class Comparison(Enum):
    """Comparisons of libseccomp (enum scmp_compare)."""

    AT_MOST = 3
    EQUAL = 4
    MASKED_EQUAL = 7


@dataclass(frozen=True, slots=True)
class Argument:
    """A condition on argument `index` of a call. For MASKED_EQUAL the argument is masked before the comparison."""

    index: int
    comparison: Comparison
    value: int
    mask: int = 0


# Several conditions of one alternative must all be true.
Alternative = Sequence[Argument]


def _equal(index: int, *values: int) -> tuple[Alternative, ...]:
    return tuple((Argument(index, Comparison.EQUAL, value),) for value in values)


def _masked(index: int, mask: int, *values: int) -> tuple[Alternative, ...]:
    return tuple((Argument(index, Comparison.MASKED_EQUAL, value, mask),) for value in values)


# Calls without conditions, sorted by purpose.
_ALLOWED = """
    read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek sendfile copy_file_range
    close close_range dup dup2 dup3 pipe fsync fdatasync ftruncate fadvise64
    stat fstat lstat newfstatat statx statfs fstatfs access faccessat faccessat2 readlink readlinkat
    creat getdents getdents64 getcwd chdir fchdir umask mkdir mkdirat rmdir unlink unlinkat link linkat rename renameat
    poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
    eventfd eventfd2
    brk mmap munmap mremap mprotect madvise mincore msync mlock munlock membarrier
    futex futex_waitv futex_wake futex_wait futex_requeue set_robust_list rseq set_tid_address arch_prctl
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait sigaltstack
    restart_syscall pause alarm setitimer getitimer
    kill tgkill
    nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time times
    getrandom uname sysinfo getrusage getrlimit getcpu getpriority
    sched_yield sched_getaffinity sched_getparam sched_getscheduler sched_get_priority_max sched_get_priority_min
    getpid gettid getppid getpgrp getpgid getsid getuid geteuid getgid getegid getresuid getresgid getgroups capget
    wait4 waitid exit exit_group
"""

_DENIED = """
    socket socketpair connect bind listen accept accept4 sendto sendmsg sendmmsg recvfrom recvmsg recvmmsg
    setsockopt getsockopt getsockname getpeername shutdown
    ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp
    pidfd_open pidfd_getfd pidfd_send_signal tkill rt_sigqueueinfo rt_tgsigqueueinfo get_robust_list
    unshare setns mount umount2 pivot_root chroot fsopen fsconfig fsmount fspick move_mount open_tree mount_setattr
    name_to_handle_at open_by_handle_at
    bpf perf_event_open userfaultfd add_key request_key keyctl personality modify_ldt seccomp
    landlock_create_ruleset landlock_add_rule landlock_restrict_self
    setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capset setpgid setsid
    chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes utimensat futimesat
    setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat
    symlink symlinkat mknod mknodat truncate flock sync syncfs quotactl quotactl_fd
    setrlimit setpriority sched_setaffinity sched_setattr sched_setparam sched_setscheduler ioprio_set
    mbind set_mempolicy migrate_pages move_pages mlockall
    shmget shmat shmctl shmdt semget semop semtimedop semctl msgget msgsnd msgrcv msgctl
    mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr
    fanotify_init fanotify_mark init_module finit_module delete_module kexec_load kexec_file_load
    reboot swapon swapoff syslog acct settimeofday clock_settime clock_adjtime adjtimex sethostname setdomainname
    iopl ioperm vhangup
"""

ALLOWED = frozenset(_ALLOWED.split())
DENIED = frozenset(_DENIED.split())

# It takes disk space that the kernel does not count as written. EOPNOTSUPP makes posix_fallocate(3) write instead.
UNSUPPORTED = frozenset({"fallocate"})

# `clone3` and `openat2` pass their flags in memory, which a filter cannot read, and `memfd_create` makes files outside
# Landlock. These and `io_uring` are unlisted: libraries fall back to what is filtered.

_CLONE_THREAD = 0x10000
# New namespaces, descriptors of processes, tracing, and a child of the parent of this process.
_CLONE_DANGEROUS = 0x7E020000 | 0x1000 | 0x2000 | 0x8000

_O_WRONLY, _O_RDWR, _O_ACCMODE, _O_TRUNC = 1, 2, 3, 0o1000
# Opening for reading with O_TRUNC empties a file, which Landlock does not handle before ABI 3. Access mode 3 needs no
# right of Landlock at all.
_READ_WITHOUT_TRUNCATING = (_O_ACCMODE | _O_TRUNC, 0)

_RENAME_NOREPLACE = 1
_O_NOTIFICATION_PIPE = 0o200  # a queue of kernel events

_TERMINAL_GET, _FIONBIO, _FIONREAD, _FIOCLEX, _FIONCLEX = 0x5401, 0x5421, 0x541B, 0x5451, 0x5450

# fcntl: duplicate, flags, locks of ranges, size of a pipe, seals. Not F_SETOWN and F_SETSIG, with which the kernel
# sends any signal to any process of the same user, nor leases and notifications.
_FCNTL = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032, 1034)


def _open(index: int) -> tuple[Alternative, ...]:
    mask, value = _READ_WITHOUT_TRUNCATING
    return (*_masked(index, mask, value), *_masked(index, _O_ACCMODE, _O_WRONLY, _O_RDWR))


CONDITIONAL: Mapping[str, tuple[Alternative, ...]] = {
    "open": _open(1),
    "openat": _open(2),
    "pipe2": _masked(1, _O_NOTIFICATION_PIPE, 0),
    "renameat2": ((Argument(4, Comparison.AT_MOST, _RENAME_NOREPLACE),),),
    "ioctl": _equal(1, _TERMINAL_GET, _FIONBIO, _FIONREAD, _FIOCLEX, _FIONCLEX),
    "fcntl": _equal(1, *_FCNTL),
    "prctl": _equal(0, PR_SET_NAME, PR_SET_VMA, *PR_GET_OPTIONS),
    "prlimit64": ((Argument(0, Comparison.EQUAL, 0), Argument(2, Comparison.EQUAL, 0)),),
}

# A render may start threads.
RENDER: Mapping[str, tuple[Alternative, ...]] = {
    **CONDITIONAL,
    "clone": _masked(0, _CLONE_THREAD | _CLONE_DANGEROUS, _CLONE_THREAD),
}
RENDER_DENIED = frozenset({"execve", "execveat", "fork", "vfork"})

# A helper program may start threads, processes and other programs.
PROGRAM: Mapping[str, tuple[Alternative, ...]] = {
    **CONDITIONAL,
    "clone": _masked(0, _CLONE_DANGEROUS, 0),
}
PROGRAM_ALLOWED = frozenset({"execve", "execveat", "fork", "vfork"})
