"""The environment file of the embedded platform."""

import stat
from pathlib import Path

from cli.embedded.environment import read_environment_file, update_environment_file


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_given_a_readable_file_when_it_is_updated_then_only_its_owner_can_read_it(tmp_path: Path) -> None:
    file = tmp_path / "bulkhead.env"
    file.write_text("")
    file.chmod(0o644)

    update_environment_file(file, {"BULKHEAD_LINK_SECRET": "new"})

    assert file.read_text() == "BULKHEAD_LINK_SECRET=new\n"
    assert mode(file) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_given_a_value_of_none_when_the_file_is_updated_then_its_line_is_removed(tmp_path: Path) -> None:
    file = tmp_path / "bulkhead.env"
    update_environment_file(file, {"BULKHEAD_REDIS_URL": "redis://one", "BULKHEAD_LINK_SECRET": "a"})

    update_environment_file(file, {"BULKHEAD_REDIS_URL": None})

    assert read_environment_file(file) == {"BULKHEAD_LINK_SECRET": "a"}


def test_given_a_line_added_by_the_user_when_values_are_updated_then_it_is_preserved(tmp_path: Path) -> None:
    file = tmp_path / "bulkhead.env"
    update_environment_file(file, {"BULKHEAD_BROKER_URL": "amqp://one"})
    file.write_text(file.read_text() + "# mine\nBULKHEAD_PORT=9090")

    update_environment_file(file, {"BULKHEAD_BROKER_URL": "amqp://two", "BULKHEAD_LINK_SECRET": "a=b"})

    assert read_environment_file(file) == {
        "BULKHEAD_PORT": "9090",
        "BULKHEAD_BROKER_URL": "amqp://two",
        "BULKHEAD_LINK_SECRET": "a=b",
    }
    assert "# mine\n" in file.read_text()
    assert mode(file) == 0o600


def test_given_no_file_when_it_is_read_then_it_is_empty(tmp_path: Path) -> None:
    assert read_environment_file(tmp_path / "bulkhead.env") == {}
