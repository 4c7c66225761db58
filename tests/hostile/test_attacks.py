"""The attacks of `bulkhead doctor --attack`: all are stopped, and each control is needed to stop one."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from cli.attack.stage import CANARY_VARIABLE, LIMITS, prepared_stage
from cli.attack.suite import Suite, Verdict
from workers.sandbox import runner, watch, zygote
from workers.sandbox.attacks import ATTACKS, PROGRAM_ATTACKS
from workers.sandbox.confinement import Control
from workers.sandbox.watch import Limits
from workers.sandbox.zygote import ZygoteOptions

ROOT = Path(__file__).resolve().parents[2]
DEBIAN_12_ABI, NEWEST_ABI = 2, 99
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
OWN_NETWORK = ("unshare", "--net", "--")

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user and make namespaces"),
]


@pytest.mark.parametrize(
    ("wrapper", "abi"),
    [((), NEWEST_ABI), ((), DEBIAN_12_ABI), (NOBODY, NEWEST_ABI), (NOBODY, DEBIAN_12_ABI), (OWN_NETWORK, NEWEST_ABI)],
    ids=["root", "root-debian-12", "nobody", "nobody-debian-12", "network-namespace"],
)
def test_given_the_sandbox_when_attacked_then_every_attack_is_stopped(wrapper: Sequence[str], abi: int) -> None:
    command = [*wrapper, sys.executable, "-m", "tests.hostile.attack_run", str(abi)]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert process.returncode == 0, process.stderr
    verdicts = [Verdict(**fields) for fields in json.loads(process.stdout)]
    assert not [f"{verdict.name}: {verdict.end}" for verdict in verdicts if verdict.held is False]
    assert len(verdicts) == len(ATTACKS) + len(PROGRAM_ATTACKS) + 1
    assert sum(verdict.held is None for verdict in verdicts) < 10


@dataclass(frozen=True)
class Mutation:
    """A control that is switched off, and attacks that it must stop. `change` patches what has no parameter."""

    name: str
    attacks: tuple[str, ...]
    without: frozenset[Control] = frozenset()
    limits: Limits = LIMITS
    checks_output: bool = True
    change: Callable[[pytest.MonkeyPatch], None] = field(default=lambda _patch: None)
    also_intact: Callable[[pytest.MonkeyPatch], None] = field(default=lambda _patch: None)


def never_stop(patch: pytest.MonkeyPatch) -> None:
    """A supervisor that is too slow to act: the kernel alone limits the process."""
    patch.setattr(watch.Watch, "stop_reason", lambda _self, _now: None)


MUTATIONS = (
    Mutation("landlock", ("read a foreign file", "list processes", "read the ledger"), frozenset({Control.LANDLOCK})),
    Mutation("seccomp", ("connect to a port", "fork", "set-user-ID", "memory file"), frozenset({Control.SECCOMP})),
    Mutation("signals", ("signal to the parent", "death that looks like a kill"), frozenset({Control.SIGNALS})),
    Mutation("capabilities", ("file without permission",), frozenset({Control.CAPABILITIES})),
    Mutation("descriptors", ("many descriptors",), frozenset({Control.DESCRIPTORS})),
    Mutation("file-size", ("one large file",), frozenset({Control.FILE_SIZE}), replace(LIMITS, disk=2**40)),
    Mutation("cpu-time", ("endless loop",), frozenset({Control.CPU_TIME}), also_intact=never_stop),
    Mutation(
        "empty environment",
        ("own environment",),
        change=lambda patch: patch.setattr(zygote, "PASSED_VARIABLES", (*zygote.PASSED_VARIABLES, CANARY_VARIABLE)),
    ),
    Mutation("memory limit", ("memory",), limits=replace(LIMITS, memory=2**40)),
    Mutation("time limit", ("endless loop",), limits=replace(LIMITS, cpu=1e6)),
    Mutation("idle limit", ("hang",), limits=replace(LIMITS, idle=1e6)),
    Mutation(
        "disk quota", ("empty files", "fill the disk with removed files"), limits=replace(LIMITS, disk=2**40, cpu=30.0)
    ),
    Mutation("thread limit", ("thread bomb",), change=lambda patch: patch.setattr(watch, "MAX_THREADS", 10**6)),
    Mutation("reports", ("endless line",), change=lambda patch: patch.setattr(runner, "MAX_TOTAL_BYTES", 2**40)),
    Mutation("output check", ("forged result", "page as picture"), checks_output=False),
)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name.replace(" ", "-"))
def test_given_a_sandbox_without_a_control_when_attacked_then_its_attacks_get_through(
    mutation: Mutation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mutation.also_intact(monkeypatch)
    with prepared_stage(tmp_path) as stage:
        # Of Debian 12, because the newest Landlock covers signals and network as well.
        intact = Suite(stage, ZygoteOptions(abi=DEBIAN_12_ABI))
        assert held(intact, mutation.attacks) == dict.fromkeys(mutation.attacks, True)
        mutation.change(monkeypatch)
        options = ZygoteOptions(abi=DEBIAN_12_ABI, without=mutation.without)
        weakened = Suite(stage, options, mutation.limits, mutation.checks_output)
        assert held(weakened, mutation.attacks) == dict.fromkeys(mutation.attacks, False)


def held(suite: Suite, names: Sequence[str]) -> dict[str, bool | None]:
    """Whether each of these attacks is stopped."""
    verdicts = suite.run([attack for attack in ATTACKS if attack.name in names], programs=())
    return {verdict.name: verdict.held for verdict in verdicts if verdict.name in names}


def test_given_the_controls_then_each_has_a_mutation() -> None:
    assert set(Control) == {control for mutation in MUTATIONS for control in mutation.without}
