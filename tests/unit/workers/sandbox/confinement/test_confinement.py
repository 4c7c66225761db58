"""A confined process, as root and as a user, with the Landlock of Debian 12 and that of this kernel."""

import os
import platform
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from tests.unit.workers.sandbox.confinement.confined import NOBODY, Request, run, start
from tests.unit.workers.sandbox.confinement.uses import FATAL, PROGRAM_USES, USES
from workers.sandbox.attacks import ATTACKS, PROGRAM_ATTACKS
from workers.sandbox.attacks.attack import ALLOWED, NOT_APPLICABLE, Attack
from workers.sandbox.confinement import Control, available, prepare

DEBIAN_12_ABI = 2
ABIS = pytest.mark.parametrize("abi", [DEBIAN_12_ABI, None], ids=["debian-12", "newest"])
USERS = pytest.mark.parametrize("user", [None, NOBODY], ids=["root", "nobody"])

# Attacks that do not end their process, and so can share one.
SHARED = {attack.name: attack for attack in ATTACKS if not attack.alone}
SHARED_OF_PROGRAMS = {attack.name: attack for attack in PROGRAM_ATTACKS if not attack.alone}

pytestmark = [
    pytest.mark.skipif(os.getuid() != 0, reason="only root can start processes of other users"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the attacks use system calls by number"),
]


def unexpected(ends: Mapping[str, str], attacks: Mapping[str, Attack]) -> dict[str, str]:
    """The ends that do not show that an attack was stopped. Some attacks need more than this scene has."""
    return {name: end for name, end in ends.items() if end not in attacks[name].ends | {NOT_APPLICABLE}}


@ABIS
@USERS
def test_given_a_confined_process_when_it_attacks_then_every_attack_fails(abi: int | None, user: int | None) -> None:
    ends = run(SHARED, abi=abi, user=user)
    assert ends.keys() == SHARED.keys()
    assert not unexpected(ends, SHARED)


@ABIS
@USERS
def test_given_a_confined_process_when_it_works_then_nothing_is_in_its_way(abi: int | None, user: int | None) -> None:
    assert run(USES, abi=abi, user=user) == dict.fromkeys(USES, ALLOWED)


@pytest.mark.parametrize(
    ("control", "attacks"),
    [
        (
            Control.LANDLOCK,
            {"read a foreign file", "truncate a foreign file", "list /", "write the source", "list processes"},
        ),
        (Control.SECCOMP, {"set-user-ID", "socket AF_INET SOCK_STREAM", "fork", "signals by fcntl", "core dump"}),
        (Control.SIGNALS, {"signal to the parent", "signal to a thread", "signal to the group"}),
        (Control.CAPABILITIES, {"file without permission"}),
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
    ends = run({**SHARED_OF_PROGRAMS, **PROGRAM_USES}, execute=True, user=user)
    assert {name: ends.pop(name) for name in PROGRAM_USES} == dict.fromkeys(PROGRAM_USES, ALLOWED)
    assert not unexpected(ends, SHARED_OF_PROGRAMS)


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
