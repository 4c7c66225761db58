"""What `make install` and `setup/node.sh` put on a host."""

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.settings import secret_variables
from tests.services.units import loaded_credentials, secret_names

ROOT = Path(__file__).resolve().parents[3]
UNITS = ROOT / "systemd"
DROP_IN = "bulkhead-.service.d/10-hardening.conf"

AWS_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")

# Secrets and keys.
PRIVATE = {"credentials": 0o700, "authorized_keys": 0o600, ".ssh": 0o700, "bulkhead-tickets": 0o700}


def staged(target: Path, script: str, *arguments: str, umask: int = 0o022) -> Path:
    """Run a script of the set-up with DESTDIR, under a umask; its DESTDIR."""
    environment = {**os.environ, "DESTDIR": str(target)}
    command = ["sh", str(ROOT / "setup" / script), *arguments]
    subprocess.run(command, env=environment, umask=umask, capture_output=True, timeout=60, check=True)
    return target


def modes(target: Path) -> Iterator[tuple[Path, int]]:
    """Every file and directory below, with its permissions; no symbolic links."""
    for path in target.rglob("*"):
        if not path.is_symlink():
            yield path, stat.S_IMODE(path.stat().st_mode)


def directives(path: Path) -> list[str]:
    """The lines `Key=value` of a unit."""
    return [line for line in path.read_text().splitlines() if "=" in line and line[0].isupper()]


def test_given_a_strict_umask_when_units_are_installed_then_everybody_can_read_them_but_not_the_secrets(
    tmp_path: Path,
) -> None:
    target = staged(tmp_path / "host", "install.sh", "units", umask=0o077)
    for path, mode in modes(target):
        allowed = (PRIVATE[path.name],) if path.name in PRIVATE else (0o755,) if path.is_dir() else (0o644, 0o755)
        assert mode in ((0o600,) if path.parent.name == "credentials" else allowed), path


def test_given_a_strict_umask_when_an_edge_node_is_prepared_then_its_user_can_run_the_program(tmp_path: Path) -> None:
    key = tmp_path / "jump.pub"
    key.write_text("ssh-ed25519 AAAA jump\n")
    target = staged(tmp_path / "node", "node.sh", str(key), umask=0o077)
    state = target / "var/lib/bulkhead-tickets"
    for path, mode in modes(target):
        if path == state or state in path.parents:
            assert mode == PRIVATE[path.name], path
        elif path.is_dir() or path.name == "bulkhead-tickets-node":
            assert mode == 0o755, path
        else:
            assert mode & 0o444 == 0o444, path


def test_given_a_node_that_is_also_a_worker_host_then_the_drop_in_does_not_apply_to_the_units_of_the_node(
    tmp_path: Path,
) -> None:
    key = tmp_path / "jump.pub"
    key.write_text("ssh-ed25519 AAAA jump\n")
    units = staged(tmp_path / "node", "node.sh", str(key)) / "etc/systemd/system"
    services = [path for path in units.glob("bulkhead-*.service") if path.is_file()]
    assert services
    for service in services:
        assert (units / f"{service.name}.d" / Path(DROP_IN).name).readlink() == Path("/dev/null")


def test_given_an_installation_when_it_is_removed_then_only_settings_and_secrets_remain(tmp_path: Path) -> None:
    target = staged(tmp_path / "host", "install.sh", "units")
    assert (target / "usr/lib/systemd/system" / DROP_IN).is_file()
    staged(target, "install.sh", "uninstall")
    kept = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    credentials = {f"etc/bulkhead/credentials/BULKHEAD_{name}_URL" for name in ("BROKER", "LEDGER")}
    assert kept == {"etc/bulkhead/bulkhead.env", *credentials}


def test_given_another_prefix_when_units_are_installed_then_no_file_names_the_default_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFIX", "/srv/bulkhead")
    units = staged(tmp_path / "host", "install.sh", "units") / "usr/lib/systemd/system"
    assert "WorkingDirectory=/srv/bulkhead" in directives(units / DROP_IN)
    for path in units.rglob("*.*"):
        assert path.is_dir() or "/opt/bulkhead" not in path.read_text(), path


@pytest.mark.parametrize("unit", sorted(path.name for path in UNITS.glob("*.service")))
def test_given_a_unit_then_it_repeats_no_directive_of_the_drop_in_and_filters_system_calls(unit: str) -> None:
    own, common = directives(UNITS / unit), directives(UNITS / DROP_IN)
    lists = {"After", "Wants", "IPAddressAllow", "ReadWritePaths"}  # a drop-in adds to these
    assert not {line.split("=")[0] for line in own} & {line.split("=")[0] for line in common} - lists
    assert not set(own) & set(common)
    filters = [line.partition("=")[2] for line in own if line.startswith("SystemCallFilter=")]
    assert filters[:2] == ["@system-service", "~@privileged @resources"]


def test_given_the_folders_of_the_units_then_none_has_more_than_fifteen_files() -> None:
    for folder in (UNITS, *(path for path in UNITS.rglob("*") if path.is_dir())):
        assert sum(path.is_file() for path in folder.iterdir()) <= 15, folder


def test_given_the_units_then_each_secret_has_an_empty_default_and_no_unit_reads_one_that_it_must_not_have() -> None:
    defaults = {
        line.split("=")[1].partition(":")[0] for line in directives(UNITS / DROP_IN) if "SetCredential=" in line
    }
    loaded = loaded_credentials()
    assert secret_names() - {"FLOWER_BASIC_AUTH"} == defaults
    assert defaults == {*secret_variables(), *AWS_KEYS}
    assert loaded["bulkhead-render@"] == {
        "BULKHEAD_BROKER_URL",
        "BULKHEAD_LEDGER_URL",
        "BULKHEAD_ARTIFACT_SECRET",
        *AWS_KEYS,
    }
    assert not loaded["bulkhead-web"] & {"BULKHEAD_WEBHOOK_SECRETS", "FLOWER_BASIC_AUTH", "BULKHEAD_STREAM_URL"}
    assert loaded["bulkhead-scheduler"] == {"BULKHEAD_BROKER_URL"}
    for unit, names in loaded.items():
        assert ("BULKHEAD_LINK_SECRET" in names) == ("BULKHEAD_TOKENS" in names) == (unit == "bulkhead-web")


def test_given_the_units_then_web_tier_workers_maintenance_and_rotation_have_users_of_their_own() -> None:
    users = {path.stem: line[5:] for path in UNITS.glob("*.service") for line in directives(path) if "User=" in line}
    trusted = {users[f"bulkhead-{name}"] for name in ("render@", "webhooks", "heartbeats")}
    assert len(users) == len(list(UNITS.glob("*.service")))
    assert len({users["bulkhead-web"], users["bulkhead-maintenance"], users["bulkhead-tickets"]} | trusted) == 4
