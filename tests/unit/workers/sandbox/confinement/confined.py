"""Runs attacks in a confined process and reports how each ended.

`python -m tests.unit.workers.sandbox.confinement.confined REQUEST` is that process. It forks once, as the zygote does.
"""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.utils.system_calls import prctl
from tests.unit.workers.sandbox.confinement.uses import (
    CPU_TIME,
    FATAL,
    MAX_DESCRIPTORS,
    MAX_FILE_SIZE,
    PROGRAM_USES,
    USES,
)
from workers.sandbox.attacks import ATTACKS, PROGRAM_ATTACKS
from workers.sandbox.attacks.attack import Attack, Attempt, Scene
from workers.sandbox.confinement import Confinement, Control, prepare
from workers.sandbox.confinement.limits import ProcessLimits

ROOT = Path(__file__).resolve().parents[5]
NOBODY = 65534

_PR_SET_DUMPABLE = 4

ATTEMPTS: dict[str, Attempt] = {
    **{attack.name: attack.attempt for attack in (*PROGRAM_ATTACKS, *ATTACKS)},
    **USES,
    **PROGRAM_USES,
    **{name: attempt for name, (_end, attempt) in FATAL.items()},
}


@dataclass(frozen=True)
class Request:
    """Names of attacks and uses, and how the process is confined. `abi` None is the kernel's."""

    names: list[str]
    abi: int | None = None
    user: int | None = None
    execute: bool = False
    without: list[str] = field(default_factory=list)


@contextmanager
def scene(user: int | None = None) -> Iterator[Path]:
    """A directory with the files of a scene. They belong to the user of the attack: no permission bit protects them."""
    with TemporaryDirectory(dir="/tmp") as name:  # pytest's directories are closed to other users
        directory = Path(name)
        paths = scene_in(directory)
        paths.readable.mkdir()
        paths.work.mkdir()
        for path in (paths.source, paths.secret, *(paths.readable / n for n in ("file", "other")), paths.work / "own"):
            path.write_bytes(b"content")
        (paths.work / "closed").touch(mode=0)
        if user is not None:
            for path in (directory, *directory.rglob("*")):
                os.chown(path, user, user)
        yield directory


def run(
    names: Collection[str],
    *,
    abi: int | None = None,
    user: int | None = None,
    execute: bool = False,
    without: Collection[Control] = (),
) -> dict[str, str]:
    """Try `names` in a confined process: the name of the error of each, or `allowed`."""
    process = start(Request(list(names), abi, user, execute, list(without)))
    assert process.returncode == 0, process.stderr
    results: dict[str, str] = json.loads(process.stdout)
    return results


def start(request: Request) -> "subprocess.CompletedProcess[str]":
    """Run a confined process until its end."""
    with scene(request.user) as directory:
        return subprocess.run(
            [sys.executable, "-m", __name__, str(directory), json.dumps(asdict(request))],
            cwd=ROOT,
            env={},
            capture_output=True,
            text=True,
            timeout=60,
        )


def scene_in(directory: Path) -> Scene:
    """The paths of a scene."""
    return Scene(directory / "source", directory / "readable", directory / "work", directory / "secret")


def main(directory: str, request: str) -> int:
    """Prepare, fork and confine. Returns the exit code, or signal, of the confined process."""
    wanted, paths = Request(**json.loads(request)), scene_in(Path(directory))
    confinement = prepare([paths.readable], abi=wanted.abi)
    child = os.fork()
    if child:
        return abs(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    try:
        _enter(confinement, wanted, paths)
        results = {name: outcome(name, paths) for name in wanted.names}
        os.write(1, json.dumps(results).encode())
    except BaseException:  # noqa: BLE001 - the process of a test ends here
        os.write(2, traceback.format_exc().encode())
        os._exit(1)
    os._exit(0)


def outcome(name: str, paths: Scene) -> str:
    """The end of an attempt: the name of its error, `allowed` or `not applicable`."""
    return Attack(name, "", "", frozenset(), ATTEMPTS[name]).run(paths)


def _enter(confinement: Confinement, wanted: Request, paths: Scene) -> None:
    source, work = os.open(paths.source, os.O_RDONLY), os.open(paths.work, os.O_PATH)
    if wanted.user is not None:
        os.setgroups([])
        os.setresgid(wanted.user, wanted.user, wanted.user)
        os.setresuid(wanted.user, wanted.user, wanted.user)
        prctl(_PR_SET_DUMPABLE, 1)  # as in a process that this user started
    confinement.enter(
        sources=[source],
        work=work,
        execute=wanted.execute,
        limits=ProcessLimits(descriptors=MAX_DESCRIPTORS, file_size=MAX_FILE_SIZE, cpu_time=CPU_TIME),
        without=frozenset(map(Control, wanted.without)),
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
