"""Files of others, links, and attributes of files."""

import fcntl
import os
from functools import partial
from pathlib import Path

from workers.sandbox.attacks.attack import Attempt, NotApplicable, Scene, call, denied, listing, opening

# Names of targets, and what each is.
TARGETS = {
    "ledger": "the ledger's database",
    "store": "the store of sources and outputs",
    "settings": "the settings with their secrets",
    "neighbour's source": "the drawing of another job",
    "neighbour's output": "the output of another job",
    "neighbour's work": "the working directory of another job",
}


def _target(scene: Scene, name: str) -> Path:
    if name not in scene.targets:
        raise NotApplicable(name)
    return scene.targets[name]


def _read(name: str, scene: Scene) -> None:
    path = _target(scene, name)
    if path.is_dir():
        listing(path)
    else:
        opening(path)


def _write(name: str, scene: Scene) -> None:
    """Open for writing, without changing anything."""
    path = _target(scene, name)
    if path.is_dir():
        opening(path, os.O_WRONLY | os.O_TMPFILE)
    else:
        opening(path, os.O_WRONLY)


def _reopen_source(scene: Scene) -> None:
    """A descriptor for reading becomes one for writing through /proc."""
    descriptor = os.open(scene.source, os.O_RDONLY)
    opening(f"/proc/self/fd/{descriptor}", os.O_RDWR)


def _climb(scene: Scene) -> None:
    """Follow `..` from a descriptor of the own directory."""
    work = os.open(scene.work, os.O_RDONLY | os.O_DIRECTORY)
    os.close(os.open("../" + os.path.relpath(scene.secret, scene.work.parent), os.O_RDONLY, dir_fd=work))


def _inherited(scene: Scene) -> None:
    """Use a descriptor of the trusted side: any that can be written, but the pipe, null and own files."""
    own = str(scene.work.resolve())
    for entry in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names alone
        try:
            flags, target = fcntl.fcntl(int(entry), fcntl.F_GETFL), os.readlink(f"/proc/self/fd/{entry}")  # noqa: PTH115
        except OSError:
            continue
        known = target.startswith((own, "/dev/null", "pipe:")) or int(entry) <= 2
        if not known and flags & os.O_ACCMODE and not flags & os.O_PATH:
            return
    raise PermissionError(1, "none")


_TARGET_ROWS: dict[str, tuple[str, str, Attempt]] = {}
for _name, _what in TARGETS.items():
    _TARGET_ROWS[f"read the {_name}"] = ("EACCES", f"Opens {_what}.", partial(_read, _name))
    _TARGET_ROWS[f"write the {_name}"] = ("EACCES", f"Opens {_what} for writing.", partial(_write, _name))

FILES = denied(
    "landlock",
    {
        **_TARGET_ROWS,
        "read a foreign file": ("EACCES", "Opens a file of somebody else.", lambda scene: opening(scene.secret)),
        "foreign file through /proc/self/root": (
            "EACCES",
            "Opens a foreign file by the link to the root directory.",
            lambda scene: opening(f"/proc/self/root{scene.secret}"),
        ),
        "foreign file through ..": ("EACCES", "Climbs out of the own directory by its descriptor.", _climb),
        "truncate a foreign file": (
            "EACCES",
            "Opens a foreign file with O_TRUNC.",
            lambda scene: opening(scene.secret, os.O_WRONLY | os.O_TRUNC),
        ),
        "read /etc/passwd": ("EACCES", "Reads the list of users.", lambda _scene: opening("/etc/passwd")),
        "read /etc/shadow": ("EACCES", "Reads the hashes of passwords.", lambda _scene: opening("/etc/shadow")),
        "read /etc/hosts": ("EACCES", "Reads names of hosts.", lambda _scene: opening("/etc/hosts")),
        "list /": ("EACCES", "Lists the root directory.", lambda _scene: listing("/")),
        "list /tmp": ("EACCES", "Lists temporary files.", lambda _scene: listing("/tmp")),  # noqa: S108
        "list /dev/shm": ("EACCES", "Lists shared memory.", lambda _scene: listing("/dev/shm")),  # noqa: S108
        "list the directory above": (
            "EACCES",
            "Lists the directories of other jobs.",
            lambda scene: listing(scene.work.parent),
        ),
        "write the source": (
            "EACCES",
            "Opens its drawing for writing.",
            lambda scene: opening(scene.source, os.O_WRONLY),
        ),
        "write the source through /proc/self/fd": (
            "EACCES",
            "Opens its descriptor of the drawing again, for writing.",
            _reopen_source,
        ),
        "create a file elsewhere": (
            "EACCES",
            "Creates a file beside its directory.",
            lambda scene: opening(scene.work.parent / "new", os.O_WRONLY | os.O_CREAT),
        ),
        "remove a readable file": (
            "EACCES",
            "Removes a file that it may read.",
            lambda scene: (scene.readable / "file").unlink(),
        ),
        "move a readable file": (
            "EACCES",
            "Moves a file that it may read.",
            lambda scene: (scene.readable / "other").rename(scene.work / "moved"),
        ),
        "hard link of a readable file": (
            "EXDEV EACCES",
            "Links a file that it may read into its output.",
            lambda scene: (scene.work / "hard").hardlink_to(scene.readable / "file"),
        ),
        "hard link of a foreign file": (
            "EXDEV EACCES",
            "Links a foreign file into its output.",
            lambda scene: (scene.work / "hard").hardlink_to(scene.secret),
        ),
    },
)

INHERITED = denied(
    "descriptors",
    {
        "descriptor of the trusted side": (
            "EPERM",
            "Looks for a descriptor, such as cgroup.procs, by which it could act on others.",
            _inherited,
        )
    },
)

FILE_CALLS = denied(
    "seccomp",
    {
        "truncate a readable file": (
            "EPERM",
            "Truncates a file by its path.",
            lambda scene: os.truncate(scene.readable / "file", 0),
        ),
        "open for reading and truncate": (
            "ENOSYS",
            "Empties a file that it may only read.",
            lambda scene: opening(scene.readable / "file", os.O_RDONLY | os.O_TRUNC),
        ),
        "open without access and truncate": (
            "ENOSYS",
            "Opens with the access mode 3, for which Landlock asks no right.",
            lambda scene: opening(scene.readable / "file", os.O_ACCMODE | os.O_TRUNC),
        ),
        "symbolic link": (
            "EPERM",
            "Leaves a link to a foreign file in its directory.",
            lambda scene: (scene.work / "soft").symlink_to("/etc/passwd"),
        ),
        "named pipe": (
            "EPERM",
            "Leaves a pipe, at which a reader would wait for ever.",
            lambda scene: os.mkfifo(scene.work / "fifo"),
        ),
        "device": (
            "EPERM",
            "Creates a device.",
            lambda scene: os.mknod(scene.work / "device", 0o020666, os.makedev(1, 3)),
        ),
        "set-user-ID": ("EPERM", "Makes a program of root's.", lambda scene: (scene.work / "own").chmod(0o4755)),
        "change the owner": ("EPERM", "Gives a file to root.", lambda scene: os.chown(scene.work / "own", 0, 0)),
        "change times": ("EPERM", "Forges the times of a file.", lambda scene: os.utime(scene.work / "own")),
        "extended attribute": (
            "EPERM",
            "Sets an attribute of a file.",
            lambda scene: os.setxattr(scene.work / "own", "user.name", b"value"),
        ),
        "lock the source": (
            "EPERM",
            "Locks its drawing, so that others wait.",
            lambda scene: fcntl.flock(os.open(scene.source, os.O_RDONLY), fcntl.LOCK_EX),
        ),
        "openat2": ("ENOSYS", "Opens with flags that a filter cannot read.", lambda _s: call("openat2", -100, 0, 0, 0)),
        "open by handle": (
            "EPERM",
            "Opens a file by its inode, past all directories.",
            lambda _s: call("open_by_handle_at", -100, 0, 0),
        ),
        "name to handle": ("EPERM", "Asks for the handle of a file.", lambda _s: call("name_to_handle_at", -100, 0, 0)),
        "watch files": ("EPERM", "Watches what others open.", lambda _s: call("fanotify_init", 0, 0)),
    },
)
