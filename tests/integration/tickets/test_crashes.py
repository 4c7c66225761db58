"""Rotators and node programs that die at every step, and two rotators at once, on a real fleet."""

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
    """A jump host that has brought its first ring to the fleet."""
    host = JumpHost(fleet)
    host.run(RotationRequest())
    return host


def converged(fleet: Fleet) -> None:
    """All have one ring of three keys, in memory and in the file."""
    (ring,) = fleet.rings()
    assert len(set(ring)) == 3, "a key was pushed twice"
    assert {node.in_file().names for node in fleet.nodes} == {ring}


@pytest.mark.parametrize("point", POINTS)
def test_given_a_rotator_that_is_killed_at_any_step_then_no_two_nodes_are_far_apart_and_the_next_run_mends_it(
    fleet: Fleet, host: JumpHost, point: str
) -> None:
    before = fleet[0].names()
    if point.endswith("read"):  # there is something to catch up
        fleet[0].unreachable()
        host.run()
        fleet[0].reachable()
    third = "1" if point.endswith("read") else "3"
    process = host.start([*DOOMED, point, third])

    said = process.communicate(timeout=30)

    assert process.returncode == -9, said
    rings = fleet.rings()
    assert len(rings) <= 2
    if not point.endswith("read"):
        assert all(before[1] in ring for ring in rings), "tickets that were good are known everywhere"
    report = host.run(RotationRequest())
    assert report.result in ("nothing", "caught-up"), report
    converged(fleet)
    assert host.resumed() == "50 of 50"


@pytest.mark.parametrize("point", NODE_POINTS)
def test_given_a_nodes_program_that_is_killed_at_any_step_then_the_next_run_mends_it(
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
    assert report.result in ("nothing", "caught-up"), report
    converged(fleet)
    assert host.resumed() == "50 of 50"


def test_given_two_rotators_at_once_then_the_one_with_the_smaller_token_is_fenced_out_on_every_node(
    fleet: Fleet,
) -> None:
    host = JumpHost(fleet, ledger=False)  # whose lease would let only one begin
    host.run(RotationRequest())
    before = fleet[0].names()
    gate = host.var / "go"
    first = host.start([*DOOMED, "after claim", "5", str(gate)])
    assert first.stdout is not None
    assert first.stdout.readline() == "waiting\n"

    assert host.run().result == "rotated"

    gate.touch()
    said, _errors = first.communicate(timeout=30)
    assert said.startswith("Fenced out on 5 of 5 nodes: ")
    assert first.returncode == 1
    converged(fleet)
    assert fleet[0].names()[:2] == before[1:]


def test_given_a_rotation_under_way_then_the_lease_lets_no_other_one_begin(fleet: Fleet, host: JumpHost) -> None:
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


def test_given_no_ledger_when_rotated_by_hand_or_timer_then_it_works_by_the_tokens_of_the_nodes(fleet: Fleet) -> None:
    host = JumpHost(fleet, ledger=False)
    tokens = []
    for _ in range(2):
        code, out, errors = host.command("rotate", "--json")
        assert (code, "Rotating without the ledger" in errors) == (0, True), errors
        tokens.append(fleet[0].token())
    assert tokens == [1, 2]
    assert '"result": "rotated"' in out
    converged(fleet)


def test_given_a_node_whose_haproxy_takes_no_key_then_nothing_is_rotated_until_it_is_mended(
    fleet: Fleet, host: JumpHost
) -> None:
    fleet[4].authorize(fleet.public_key, socket_of=fleet.home / "deaf.sock")
    deaf = subprocess.Popen(
        [sys.executable, "-c", DEAF, str(fleet.home / "deaf.sock")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert deaf.stdout is not None
        assert deaf.stdout.readline()
        report = host.run()
    finally:
        deaf.kill()
        deaf.communicate()
    assert report.result == "behind"
    assert report.reason.startswith("edge5 is not brought up to date")
    converged(fleet)
    fleet[4].authorize(fleet.public_key)
    assert host.run().result == "rotated"


# A runtime socket of level user in other versions than 2.6: permission is denied.
DEAF = """
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
