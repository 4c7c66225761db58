"""Rotation over a real fleet of five HAProxy nodes, reached by SSH. Sessions are resumed by real handshakes."""

import json
import time

import pytest

from tests.integration.jobs.renders import eventually
from tests.services.fleet import Fleet
from tests.services.jumphost import JumpHost
from workers.tickets.inventory import Inventory
from workers.tickets.rotation import RotationRequest

pytestmark = pytest.mark.service

ROTATIONS = 20


@pytest.fixture
def host(fleet: Fleet) -> JumpHost:
    """A jump host that has pushed its first keyring to the fleet."""
    host = JumpHost(fleet)
    assert host.run(RotationRequest()).result == "rotated"
    return host


def test_given_twenty_rotations_then_after_each_every_session_resumes_everywhere(fleet: Fleet, host: JumpHost) -> None:
    for number in range(2, ROTATIONS + 2):
        before = fleet[0].names()

        report = host.run()

        assert (report.result, report.generation, report.unreachable, report.failed) == ("rotated", number, {}, {})
        (names,) = fleet.keyrings()
        assert names[:2] == before[1:]
        assert host.resumed() == "50 of 50"
    for node in fleet.nodes:
        assert node.in_file().names == node.names()
        assert node.keyring_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("rotations", [1, 2, 5, 10])
def test_given_a_node_that_missed_rotations_when_it_returns_then_it_is_caught_up(
    fleet: Fleet, host: JumpHost, rotations: int
) -> None:
    fleet[2].unreachable()
    for _ in range(rotations):
        report = host.run()
        assert (report.result, set(report.unreachable)) == ("rotated", {"edge3"})
    assert len(fleet.keyrings()) == 2
    fleet[2].reachable()

    report = host.run(RotationRequest())

    assert (report.result, report.generation) == ("caught-up", 1 + rotations)
    assert len(fleet.keyrings()) == 1
    assert host.resumed() == "50 of 50"


def test_given_a_node_that_is_reloaded_then_it_keeps_the_keyring(fleet: Fleet, host: JumpHost) -> None:
    host.run()
    before = fleet[0].names()

    fleet[0].reload()

    eventually(lambda: fleet[0].names() == before)
    assert host.resumed() == "50 of 50"


def test_given_a_node_that_lost_power_then_it_serves_with_its_own_keyring_and_keeps_the_token(
    fleet: Fleet, host: JumpHost
) -> None:
    token = host.run().token
    fleet[0].die()

    fleet[0].boot()

    checks = {(check.source, check.target): check for check in host.matrix() if check.version == "1.3"}
    assert checks["edge1", "edge1"].resumed
    assert not checks["edge1", "edge2"].resumed
    assert not any(check.error for check in checks.values())
    assert json.loads(fleet[0].record.read_text())["token"] == token
    assert host.run(RotationRequest()).result == "caught-up"
    assert host.resumed() == "50 of 50"


def test_given_a_monitor_when_a_node_boots_then_its_sessions_resume_everywhere_within_five_seconds(
    fleet: Fleet, host: JumpHost
) -> None:
    monitor = host.start(["-m", "cli", "tickets", "watch"])
    try:
        eventually(host.audit_log)
        fleet[3].die()
        time.sleep(0.5)
        fleet[3].boot()
        booted = time.monotonic()

        eventually(lambda: host.resumed() == "50 of 50")

        assert time.monotonic() - booted < 5
        assert monitor.poll() is None
    finally:
        monitor.terminate()
        monitor.communicate(timeout=10)


def test_given_commands_when_nodes_join_and_retire_then_each_has_the_right_keyring(fleet: Fleet) -> None:
    host = JumpHost(fleet)
    Inventory().save(host.var)
    for node in fleet.nodes[:2]:
        code, out, errors = host.command("join", node.name, node.address)
        assert (code, errors) == (0, ""), out
    assert fleet[0].names() == fleet[1].names()
    assert len(fleet.keyrings()) == 4

    code, out, errors = host.command("verify")
    assert (code, out.splitlines()[-1]) == (0, "8 of 8 resumed")

    code, out, errors = host.command("retire", "edge1")
    assert (code, out) == (0, "edge1 is removed and has deleted the fleet's keys.\n")
    assert not set(fleet[0].names()) & set(fleet[1].names())
    assert Inventory.load(host.var).nodes == {"edge2": fleet[1].address}

    before = fleet[1].names()
    code, out, errors = host.command("rotate", "--replace", "--json")
    assert code == 0
    assert not set(fleet[1].names()) & set(before)
    host.environment["BULKHEAD_TICKETS_LIFETIME"] = "300"
    code, out, errors = host.command("rotate")
    assert code == 1
    assert "another one now would invalidate tickets that are still in use. Wait" in errors
    code, out, errors = host.command("rotate", "--if-due")
    assert (code, errors) == (0, "")


def test_given_a_node_that_is_not_ready_then_it_does_not_join(fleet: Fleet) -> None:
    host = JumpHost(fleet)
    Inventory().save(host.var)
    fleet[0].unreachable()

    code, _out, errors = host.command("join", "edge1", fleet[0].address)

    assert code == 3
    assert errors.startswith("edge1 is not ready: ssh: connect to host 127.0.0.1")
    assert Inventory.load(host.var).nodes == {}
