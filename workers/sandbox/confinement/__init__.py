"""Confines a process: limits, no privileges, few files, few system calls.

    confinement = prepare([data_directory])         # once, in a process with one thread that forks
    if os.fork() == 0:
        confinement.enter(sources=[source], work=out, execute=False, limits=ProcessLimits(cpu_time=300))

A confined process reads its programs, libraries and fonts, its sources and a part of its own /proc/self, and writes the
one directory `work`. It has no network. It learns nothing of other processes, but may ask for names and sizes of files.
"""

import os
import pwd
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from workers.sandbox.confinement import landlock, seccomp
from workers.sandbox.confinement.landlock import Kind, Rule
from workers.sandbox.confinement.limits import ProcessLimits
from workers.sandbox.confinement.privileges import drop_capabilities, empty_bounding_set, forbid_new_privileges
from workers.sandbox.errors import SandboxUnavailable


class Control(StrEnum):
    """One measure of the confinement. A test switches each off to prove that another test notices."""

    LANDLOCK = "landlock"
    SECCOMP = "seccomp"
    SIGNALS = "signals"
    CAPABILITIES = "capabilities"
    FILE_SIZE = "file-size"
    CPU_TIME = "cpu-time"
    DESCRIPTORS = "descriptors"


NOTHING: frozenset[Control] = frozenset()

# Programs, libraries, fonts and time zones. /lib and /bin are links into /usr, except on older systems.
_SYSTEM_PATHS = (
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/bin",
    "/etc/ld.so.cache",
    "/etc/fonts",
    "/etc/ImageMagick-6",
    "/etc/localtime",
    "/var/cache/fontconfig",
    "/usr/share/zoneinfo",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
)
_USER_FONTS = (".fonts", ".local/share/fonts")
_READABLE_DEVICES = ("/dev/zero", "/dev/urandom", "/dev/random")
_WRITABLE_DEVICES = ("/dev/null",)

# Entries of /proc/self for the allocators, profilers and statistics of this process. The others show the mounts,
# sockets and control groups of the machine.
_OWN_ENTRIES = {
    "fd": Kind.READ,
    **dict.fromkeys(("maps", "smaps", "smaps_rollup", "stat", "statm", "status"), Kind.READ_FILE),
}


@dataclass(frozen=True, slots=True)
class Confinement:
    """What `prepare` has opened and compiled. The descriptors stay open for every child.

    `keeps_files` also leaves open what a profiler of the zygote has opened.
    """

    abi: int
    readable: tuple[Rule, ...]
    programs: Mapping[seccomp.Profile, bytes]
    keeps_files: bool = False

    @property
    def descriptors(self) -> set[int]:
        """The open descriptors that `enter` needs."""
        return {descriptor for descriptor, _kind in self.readable}

    def enter(
        self,
        *,
        sources: Sequence[int],
        work: int,
        execute: bool,
        limits: ProcessLimits,
        without: frozenset[Control] = NOTHING,
    ) -> None:
        """Confine this process, which must have one thread, for ever.

        Takes about 1.2 ms of processor time, more than half of it page faults that follow a fork.

        `sources` are descriptors of files or directories to read, `work` of the directory to write. `execute` allows
        processes and the programs of the readable directories. `without` leaves controls out, for tests.
        Raises SandboxUnavailable or OSError; the process must not continue then, because it is confined in part.
        """
        _without(limits, without).apply()
        if Control.CAPABILITIES not in without:
            if execute:
                empty_bounding_set()
            drop_capabilities()
        forbid_new_privileges()
        if Control.LANDLOCK not in without:
            landlock.restrict(self._rules(sources, work, execute=execute), abi=self.abi)
        program = self._program(without, execute=execute)
        if program:
            seccomp.load(program)

    def _program(self, without: frozenset[Control], *, execute: bool) -> bytes:
        profile = seccomp.Profile.PROGRAM if execute else seccomp.Profile.RENDER
        program = b"" if Control.SECCOMP in without else self.programs[profile]
        return program if Control.SIGNALS in without else seccomp.signal_filter(os.getpid(), program)

    def _rules(self, sources: Sequence[int], work: int, *, execute: bool) -> Iterator[Rule]:
        for descriptor, kind in self.readable:
            yield descriptor, Kind.EXECUTE if execute and kind is Kind.READ else kind
        for source in sources:
            kind = _readable_kind(source)
            yield source, Kind.EXECUTE if execute and kind is Kind.READ else kind
        yield work, Kind.WRITE
        own = os.open("/proc/self", os.O_PATH | os.O_CLOEXEC)
        for name, kind in _OWN_ENTRIES.items():
            # Stays open: the kernel may forget the inode otherwise, and the rule with it.
            yield os.open(name, os.O_PATH | os.O_CLOEXEC, dir_fd=own), kind
        os.close(own)


def prepare(
    read_paths: Iterable[Path], *, abi: int | None = None, without: frozenset[Control] = NOTHING
) -> Confinement:
    """Open what every confined process may read, and `read_paths`; compile the filters.

    Paths that are missing, or that this user cannot reach, are left out. `abi` limits Landlock to an older version;
    what the controls of `without` need is not prepared. Raises SandboxUnavailable.
    """
    available_abi = landlock.abi()
    paths = _outermost((*_code(), *map(Path, _SYSTEM_PATHS), *_font_directories(), *read_paths))
    readable = (
        *_open_rules(map(str, paths), _readable_kind),
        *_open_rules(_READABLE_DEVICES, lambda _descriptor: Kind.READ_FILE),
        *_open_rules(_WRITABLE_DEVICES, lambda _descriptor: Kind.WRITE_FILE),
    )
    programs = {} if Control.SECCOMP in without else {profile: seccomp.build(profile) for profile in seccomp.Profile}
    return Confinement(available_abi if abi is None else min(abi, available_abi), readable, programs)


def available() -> dict[Control, str | None]:
    """Whether this system has each control: None, or the sentence that says what is missing."""
    found: dict[Control, str | None] = dict.fromkeys(Control)
    found[Control.SECCOMP] = found[Control.SIGNALS] = seccomp.missing()
    if not landlock.abi():
        found[Control.LANDLOCK] = landlock.MISSING
    return found


def controls_to_leave_out(*, required: bool) -> dict[Control, str]:
    """The controls that this system does not have, each with the sentence that says what is missing.

    Raises SandboxUnavailable if one is missing and the sandbox is `required`.
    """
    missing = {control: reason for control, reason in available().items() if reason}
    if missing and required:
        raise SandboxUnavailable(
            f"{' '.join(dict.fromkeys(missing.values()))} "
            "To run without that protection, on a machine whose files you trust, set BULKHEAD_SANDBOX=best-effort."
        )
    return missing


def _code() -> Iterator[Path]:
    """The interpreter with its libraries, and our two packages. Never their parent, which may hold data."""
    yield from (Path(sys.prefix), Path(sys.base_prefix), Path(os.__file__).parent)
    workers = Path(__file__).parents[2]
    yield from (workers, workers.with_name("tasks"))


def _font_directories() -> Iterator[Path]:
    with suppress(KeyError):  # a user without an entry, as in many containers
        home = Path(pwd.getpwuid(os.getuid()).pw_dir)
        yield from (home / name for name in _USER_FONTS)


def _outermost(paths: Iterable[Path]) -> list[Path]:
    """The existing paths without links, and without those beneath another."""
    resolved = {path.resolve() for path in paths if os.path.exists(path)}  # noqa: PTH110 - False if not permitted
    return sorted(path for path in resolved if resolved.isdisjoint(path.parents))


def _open_rules(paths: Iterable[str], choose: Callable[[int], Kind]) -> Iterator[Rule]:
    for path in paths:
        with suppress(FileNotFoundError, PermissionError):
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
            yield descriptor, choose(descriptor)


def _readable_kind(descriptor: int) -> Kind:
    return Kind.READ if _is_directory(descriptor) else Kind.READ_FILE


def _is_directory(descriptor: int) -> bool:
    return stat.S_ISDIR(os.fstat(descriptor).st_mode)


def _without(limits: ProcessLimits, controls: frozenset[Control]) -> ProcessLimits:
    if Control.FILE_SIZE in controls:
        limits = replace(limits, file_size=None)
    if Control.CPU_TIME in controls:
        limits = replace(limits, cpu_time=None)
    if Control.DESCRIPTORS in controls:
        limits = replace(limits, descriptors=None)
    return limits
