"""A confined process, as root and as a user, with the Landlock of Debian 12 and that of this kernel."""

import os
import platform
from collections.abc import Collection
from pathlib import Path

import pytest

from tests.unit.workers.sandbox.attacks import ATTACKS, CALLS, FATAL, FILES, PROGRAMS, SIGNALS, USES
from tests.unit.workers.sandbox.confined import ALLOWED, NOBODY, Request, run, start
from workers.sandbox.confinement import Control, available, prepare

DEBIAN_12_ABI = 2
ABIS = pytest.mark.parametrize("abi", [DEBIAN_12_ABI, None], ids=["debian-12", "newest"])
USERS = pytest.mark.parametrize("user", [None, NOBODY], ids=["root", "nobody"])

# Without capabilities, not even root reads these of a process that has some.
PROTECTED_WITHOUT_LANDLOCK = {"environment of another", "memory of the parent"}

pytestmark = [
    pytest.mark.skipif(os.getuid() != 0, reason="only root can start processes of other users"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the attacks use system calls by number"),
]


@ABIS
@USERS
def test_given_a_confined_process_when_it_attacks_then_every_attack_fails(abi: int | None, user: int | None) -> None:
    assert run(ATTACKS, abi=abi, user=user) == {name: error for name, (error, _attack) in ATTACKS.items()}


@ABIS
@USERS
def test_given_a_confined_process_when_it_works_then_nothing_is_in_its_way(abi: int | None, user: int | None) -> None:
    assert run(USES, abi=abi, user=user) == dict.fromkeys(USES, ALLOWED)


@pytest.mark.parametrize(
    ("control", "attacks"),
    [
        (Control.LANDLOCK, set(FILES) - PROTECTED_WITHOUT_LANDLOCK),
        (Control.SECCOMP, {"mode", "socket of family AF_INET", "fork", "signals by fcntl", "limit"}),
        (Control.SIGNALS, {"signal to the parent", "signal to a thread of the parent", "signal to the group"}),
        (Control.CAPABILITIES, {"file without permission"}),
        (Control.FILE_SIZE, {"large file"}),
        (Control.DESCRIPTORS, {"many descriptors"}),
    ],
    ids=lambda value: str(value) if isinstance(value, Control) else "",
)
def test_given_a_confinement_without_a_control_when_attacked_then_attacks_succeed(
    control: Control, attacks: Collection[str]
) -> None:
    # Of Debian 12, because the newest Landlock covers signals as well.
    confined = run(attacks, abi=DEBIAN_12_ABI)
    weakened = run(attacks, abi=DEBIAN_12_ABI, without=[control])
    assert ALLOWED not in confined.values()
    assert set(weakened.values()) == {ALLOWED}


@pytest.mark.parametrize("name", FATAL)
def test_given_a_confined_process_when_it_aborts_or_may_not_go_on_then_the_signal_says_so(name: str) -> None:
    end, _attack = FATAL[name]
    assert start(Request([name])).returncode == end


def test_given_no_limit_of_processor_time_then_a_process_computes_on() -> None:
    assert run(["processor time"], without=[Control.CPU_TIME]) == {"processor time": ALLOWED}


@USERS
def test_given_a_confined_program_then_it_may_start_programs_and_nothing_else(user: int | None) -> None:
    attacks = {**FILES, **CALLS, **SIGNALS, **PROGRAMS}
    assert run(attacks, execute=True, user=user) == {name: end for name, (end, _attack) in attacks.items()}


def test_given_this_system_then_every_control_is_available() -> None:
    assert available() == dict.fromkeys(Control)


def test_given_missing_paths_when_prepared_then_they_are_left_out(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    confinement = prepare([tmp_path / "missing"])
    opened = len(os.listdir("/proc/self/fd")) - before  # noqa: PTH208
    assert opened == len(confinement.readable)
    for descriptor, _kind in confinement.readable:
        assert tmp_path.parent not in Path(f"/proc/self/fd/{descriptor}").readlink().parents
        os.close(descriptor)
