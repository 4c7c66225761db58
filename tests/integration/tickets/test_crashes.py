"""Rotators and node programs that are killed at every step, and two rotators at once, on a real fleet."""

import subprocess
import sys

import pytest

from tests.services.faults.doomed_node import POINTS as NODE_POINTS
from tests.services.faults.doomed_rotator import POINTS
from tests.services.fleet import Fleet
from tests.services.jumphost import JumpHost
from tests.services.platform import ROOT
from workers.tickets.rotation import RotationRequest

pytestmark = pytest.mark.service

DOOMED = ["-m", "tests.services.faults.doomed_rotator"]


@pytest.fixture
def host(fleet: Fleet) -> JumpHost:
    """A jump host that has pushed its first keyring to the fleet."""
    host = JumpHost(fleet)
    host.run(RotationRequest())
    return host


def converged(fleet: Fleet) -> None:
    """Assert that all nodes have one keyring of three keys, in HAProxy and in the file."""
    (names,) = fleet.keyrings()
    assert len(set(names)) == 3, "a key was pushed twice"
    assert {node.in_file().names for node in fleet.nodes} == {names}


@pytest.mark.parametrize("point", POINTS)
def test_given_a_rotator_that_is_killed_at_any_step_then_nodes_stay_compatible_and_the_next_run_repairs_them(
    fleet: Fleet, host: JumpHost, point: str
) -> None:
    before = fleet[0].names()
    if point.endswith("read"):  # there is something to catch up
        fleet[0].unreachable()
        host.run()
        fleet[0].reachable()
    occurrence = "1" if point.endswith("read") else "3"
    process = host.start([*DOOMED, point, occurrence])

    output = process.communicate(timeout=30)

    assert process.returncode == -9, output
    keyrings = fleet.keyrings()
    assert len(keyrings) <= 2
    if not point.endswith("read"):
        assert all(before[1] in names for names in keyrings), "valid tickets are accepted everywhere"
    report = host.run(RotationRequest())
    assert report.result in ("up-to-date", "caught-up"), report
    converged(fleet)
    assert host.resumed() == "50 of 50"


@pytest.mark.parametrize("point", NODE_POINTS)
def test_given_a_node_program_that_is_killed_at_any_step_then_the_next_run_repairs_it(
    fleet: Fleet, host: JumpHost, point: str
) -> None:
    program = fleet.home / "bulkhead-tickets-node"
    mark = program.with_name(f"{program.name}.{point}")
    mark.unlink(missing_ok=True)
    wrapper = f"PYTHONPATH={ROOT} {sys.executable} -m tests.services.faults.doomed_node {point} {program}"
    fleet[1].authorize(fleet.public_key, wrapper=wrapper)

    report = host.run()

    assert (report.result, set(report.unreachable)) == ("rotated", {"edge2"})
    assert mark.exists()
    report = host.run(RotationRequest())
    assert report.result in ("up-to-date", "caught-up"), report
    converged(fleet)
    assert host.resumed() == "50 of 50"


def test_given_two_rotators_at_once_then_every_node_refuses_the_smaller_token(
    fleet: Fleet,
) -> None:
    host = JumpHost(fleet, ledger=False)  # its lease would let only one of them start
    host.run(RotationRequest())
    before = fleet[0].names()
    gate = host.var / "go"
    first = host.start([*DOOMED, "after claim", "5", str(gate)])
    assert first.stdout is not None
    assert first.stdout.readline() == "waiting\n"

    assert host.run().result == "rotated"

    gate.touch()
    output, _errors = first.communicate(timeout=30)
    assert output.startswith("Another rotator claimed 5 of 5 nodes: ")
    assert first.returncode == 1
    converged(fleet)
    assert fleet[0].names()[:2] == before[1:]


def test_given_a_running_rotation_then_its_lease_prevents_another_one(fleet: Fleet, host: JumpHost) -> None:
    gate = host.var / "go"
    first = host.start([*DOOMED, "after claim", "5", str(gate)])
    assert first.stdout is not None
    assert first.stdout.readline() == "waiting\n"

    code, _out, errors = host.command("rotate")

    assert code == 1
    assert "is rotating the ticket keys. Try again later; its lease expires in" in errors
    gate.touch()
    assert first.communicate(timeout=30)[0] == "rotated\n"
    converged(fleet)


def test_given_no_ledger_then_rotation_works_with_the_tokens_of_the_nodes(fleet: Fleet) -> None:
    host = JumpHost(fleet, ledger=False)
    tokens = []
    for _ in range(2):
        code, out, errors = host.command("rotate", "--json")
        assert (code, "Rotating without the ledger" in errors) == (0, True), errors
        tokens.append(fleet[0].token())
    assert tokens == [1, 2]
    assert '"result": "rotated"' in out
    converged(fleet)


def test_given_an_haproxy_that_rejects_keys_then_nothing_is_rotated_until_it_is_repaired(
    fleet: Fleet, host: JumpHost
) -> None:
    fleet[4].authorize(fleet.public_key, socket_of=fleet.home / "denying.sock")
    denying = subprocess.Popen(
        [sys.executable, "-c", DENYING_SOCKET, str(fleet.home / "denying.sock")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert denying.stdout is not None
        assert denying.stdout.readline()
        report = host.run()
    finally:
        denying.kill()
        denying.communicate()
    assert report.result == "behind"
    assert report.reason.startswith("edge5 lacks 3 keys and cannot be updated: ")
    converged(fleet)
    fleet[4].authorize(fleet.public_key)
    assert host.run().result == "rotated"


# A runtime socket of level user, in HAProxy versions other than 2.6: it denies permission.
DENYING_SOCKET = """
import socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.bind(sys.argv[1])
    server.listen()
    print("listening", flush=True)
    while True:
        line, _ = server.accept()
        line.recv(100)
        line.sendall(b"Permission denied\\n")
        line.close()
"""
