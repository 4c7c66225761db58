"""The inventory of nodes, and the ssh command that connects to them."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from workers.tickets.inventory import INVENTORY_FILE, InvalidInventory, InvalidNode, Inventory
from workers.tickets.ssh import MAX_SOCKET_PATH, InvalidNodeName, SshOptions


def test_given_nodes_that_join_and_retire_then_the_file_lists_those_that_are_left(tmp_path: Path) -> None:
    Inventory.load(tmp_path).with_node("edge1", "10.0.0.1:443").with_node("edge2", "[2001:db8::2]:443").save(tmp_path)
    assert Inventory.load(tmp_path).nodes == {"edge1": "10.0.0.1:443", "edge2": "[2001:db8::2]:443"}

    Inventory.load(tmp_path).without_node("edge1").save(tmp_path)
    assert set(Inventory.load(tmp_path).nodes) == {"edge2"}


@pytest.mark.parametrize(
    ("node", "address"), [("-oProxyCommand=x", "a:1"), ("a b", "a:1"), ("", "a:1"), ("edge1", "a"), ("edge1", "a b:1")]
)
def test_given_an_invalid_name_or_address_then_the_error_shows_a_valid_one(node: str, address: str) -> None:
    with pytest.raises(InvalidNode, match=r"Try: edge1 10\.0\.0\.1:443$"):
        Inventory().with_node(node, address)


def test_given_a_damaged_file_then_the_error_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / INVENTORY_FILE).parent.mkdir()
    (tmp_path / INVENTORY_FILE).write_text('{"nodes": ["edge1"]}')

    with pytest.raises(InvalidInventory, match=r"fleet.json is not a valid list of nodes .* Correct it, or remove it"):
        Inventory.load(tmp_path)


def test_given_options_then_ssh_never_prompts_trusts_no_new_host_and_gets_no_command() -> None:
    with TemporaryDirectory(dir="/tmp") as sockets:  # pytest's own directories have paths too long for sockets
        command = SshOptions(Path("/etc/ssh_config"), 5, Path(sockets), 60).command("edge1")

    assert command[:3] == ["ssh", "-F", "/etc/ssh_config"]
    assert command[-2:] == ["--", "edge1"]
    assert {"-oBatchMode=yes", "-oStrictHostKeyChecking=yes", "-oControlPersist=60"} <= set(command)


def test_given_a_path_that_is_too_long_for_a_socket_then_connections_are_not_shared(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * MAX_SOCKET_PATH)

    assert not any("Control" in option for option in SshOptions(None, 5, deep, 60).command("edge1"))
    assert not any("Control" in option for option in SshOptions(None, 5, Path("/tmp/s"), 0).command("edge1"))


def test_given_a_name_that_looks_like_an_option_then_it_is_rejected() -> None:
    with pytest.raises(InvalidNodeName, match="is not a valid node name"):
        SshOptions(None, 5, Path("/tmp/s"), 0).command("-oProxyCommand=x")
