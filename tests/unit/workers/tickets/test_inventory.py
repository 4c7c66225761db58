"""The list of nodes, and the way to them."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from workers.tickets.inventory import INVENTORY_FILE, InvalidInventory, Inventory
from workers.tickets.ssh import MAX_SOCKET_PATH, SshOptions


def test_given_nodes_that_join_and_retire_then_the_file_tells_who_is_there(tmp_path: Path) -> None:
    Inventory.load(tmp_path).with_node("edge1", "10.0.0.1:443").with_node("edge2", "[2001:db8::2]:443").save(tmp_path)
    assert Inventory.load(tmp_path).nodes == {"edge1": "10.0.0.1:443", "edge2": "[2001:db8::2]:443"}

    Inventory.load(tmp_path).without_node("edge1").save(tmp_path)
    assert set(Inventory.load(tmp_path).nodes) == {"edge2"}


@pytest.mark.parametrize(
    ("node", "address"), [("-oProxyCommand=x", "a:1"), ("a b", "a:1"), ("", "a:1"), ("edge1", "a"), ("edge1", "a b:1")]
)
def test_given_what_is_no_node_then_it_does_not_join(node: str, address: str) -> None:
    with pytest.raises(ValidationError):
        Inventory().with_node(node, address)


def test_given_a_damaged_file_then_the_error_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / INVENTORY_FILE).parent.mkdir()
    (tmp_path / INVENTORY_FILE).write_text('{"nodes": ["edge1"]}')

    with pytest.raises(InvalidInventory, match=r"fleet.json is no list of nodes .* Correct it, or remove it"):
        Inventory.load(tmp_path)


def test_given_a_way_then_ssh_asks_nothing_trusts_nobody_new_and_is_told_no_command(tmp_path: Path) -> None:
    command = SshOptions(Path("/etc/ssh_config"), 5, tmp_path / "s", 60).command("edge1")

    assert command[:3] == ["ssh", "-F", "/etc/ssh_config"]
    assert command[-2:] == ["--", "edge1"]
    assert {"-oBatchMode=yes", "-oStrictHostKeyChecking=yes", "-oControlPersist=60"} <= set(command)


def test_given_a_folder_whose_name_is_too_long_for_a_socket_then_connections_are_not_shared(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * MAX_SOCKET_PATH)

    assert not any("Control" in option for option in SshOptions(None, 5, deep, 60).command("edge1"))
    assert not any("Control" in option for option in SshOptions(None, 5, Path("/tmp/s"), 0).command("edge1"))


def test_given_a_name_that_ssh_would_take_for_an_option_then_it_is_refused() -> None:
    with pytest.raises(ValueError, match="is no name of a node"):
        SshOptions(None, 5, Path("/tmp/s"), 0).command("-oProxyCommand=x")
