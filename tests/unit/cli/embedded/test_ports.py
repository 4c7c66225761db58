import socket
from pathlib import Path

import pytest

from cli.embedded import ports
from cli.embedded.ports import LOOPBACK, PORT_RANGE, PortsExhausted, assign_ports, is_free, is_listening


def test_given_no_stored_ports_when_they_are_assigned_then_they_differ_and_are_not_ephemeral(
    tmp_path: Path,
) -> None:
    chosen = assign_ports(tmp_path / "ports.json", ["amqp", "stream", "epmd"])

    assert len(set(chosen.values())) == 3
    assert all(port in PORT_RANGE for port in chosen.values())


def test_given_stored_ports_when_they_are_assigned_again_then_they_are_the_same(tmp_path: Path) -> None:
    first = assign_ports(tmp_path / "ports.json", ["amqp", "epmd"])

    assert assign_ports(tmp_path / "ports.json", ["amqp", "epmd"]) == first


def test_given_a_stored_port_in_use_when_ports_are_assigned_then_only_that_one_changes(tmp_path: Path) -> None:
    first = assign_ports(tmp_path / "ports.json", ["amqp", "epmd"])
    with socket.create_server((LOOPBACK, first["amqp"])):
        second = assign_ports(tmp_path / "ports.json", ["amqp", "epmd"])

    assert second["amqp"] != first["amqp"]
    assert second["epmd"] == first["epmd"]


def test_given_a_listener_then_its_port_is_listening_and_not_free() -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
        assert not is_free(port)
        assert is_listening(port)

    assert is_free(port)
    assert not is_listening(port)


def test_given_no_free_port_when_one_is_assigned_then_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setattr(ports, "PORT_RANGE", range(port, port + 1))

        with pytest.raises(PortsExhausted, match=r"No free port was found on .*. Stop other servers"):
            assign_ports(tmp_path / "ports.json", ["amqp"])
