import stat
from pathlib import Path

from cli.embedded.environment import read_environment_file, update_environment_file
from cli.embedded.files import make_private_directory, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_given_a_readable_file_when_it_is_replaced_then_only_its_owner_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("old")
    file.chmod(0o644)

    write_private(file, "new")

    assert file.read_text() == "new"
    assert mode(file) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_given_the_draft_of_a_killed_writer_when_the_file_is_written_then_it_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".ports.json.draft").write_text("half")

    write_private(tmp_path / "ports.json", "whole")

    assert [file.name for file in tmp_path.iterdir()] == ["ports.json"]


def test_given_an_open_directory_when_it_is_made_private_then_only_its_owner_may_enter(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o755)

    assert mode(make_private_directory(tmp_path / "home")) == 0o700


def test_given_a_line_of_the_user_when_values_are_merged_then_it_stays(tmp_path: Path) -> None:
    file = tmp_path / "bulkhead.env"
    update_environment_file(file, {"BULKHEAD_BROKER_URL": "amqp://one"})
    file.write_text(file.read_text() + "# mine\nBULKHEAD_PORT=9090")

    update_environment_file(file, {"BULKHEAD_BROKER_URL": "amqp://two", "BULKHEAD_SECRET": "a=b"})

    assert read_environment_file(file) == {
        "BULKHEAD_PORT": "9090",
        "BULKHEAD_BROKER_URL": "amqp://two",
        "BULKHEAD_SECRET": "a=b",
    }
    assert "# mine\n" in file.read_text()
    assert mode(file) == 0o600


def test_given_no_file_when_it_is_read_then_it_has_no_values(tmp_path: Path) -> None:
    assert read_environment_file(tmp_path / "bulkhead.env") == {}
