"""Which process of which unit holds which secret: each is searched for a recognizable value."""

import base64
import secrets
from collections.abc import Iterator

import psutil
import pytest

from cli.embedded.ports import assign_ports
from cli.embedded.process import NotInstalled
from tests.conftest import Broker, skip_or_fail
from tests.services.platform import Platform
from tests.services.process_memory import search_process
from tests.services.units import DIRECTORY, Units, loaded_credentials, running_units, secret_names

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

INSTANCES = {"bulkhead-render@": "bulkhead-render@1"}
ONE_SHOT = "bulkhead-tickets-rotate"
SERVICES = sorted(INSTANCES.get(unit, unit) for unit in loaded_credentials() if unit != ONE_SHOT)

# Read from its file only if the store is a bucket.
UNUSED = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


def canary(name: str) -> str:
    """A value that nothing else contains."""
    return f"{name.lower().replace('_', '')}{secrets.token_hex(12)}"


def values(canaries: dict[str, str], broker: Broker) -> dict[str, str]:
    """Secrets that work and contain the canaries. That of the broker is its password."""
    return {
        **canaries,
        "BULKHEAD_BROKER_URL": broker.url,
        "BULKHEAD_LEDGER_URL": f"sqlite:///{DIRECTORY}/{canaries['BULKHEAD_LEDGER_URL']}.db",
        "BULKHEAD_REDIS_URL": f"redis://:{canaries['BULKHEAD_REDIS_URL']}@127.0.0.1:1/0",
        "BULKHEAD_TOKENS": f'{{"{canaries["BULKHEAD_TOKENS"]}": "acme"}}',
        "BULKHEAD_PLANT_TOKENS": f'{{"{canaries["BULKHEAD_PLANT_TOKENS"]}": "plant1"}}',
        "BULKHEAD_WEBHOOK_SECRETS": f'{{"acme": "whsec_{canaries["BULKHEAD_WEBHOOK_SECRETS"]}"}}',
        "BULKHEAD_STREAM_URL": f"{broker.stream_url}#{canaries['BULKHEAD_STREAM_URL']}",
        "BULKHEAD_HEARTBEATS_SOURCE": f"kafka://127.0.0.1:1/beats?client.id={canaries['BULKHEAD_HEARTBEATS_SOURCE']}",
        "BULKHEAD_HEARTBEATS_DATABASE_URLS": (
            f"sqlite:///{DIRECTORY}/{canaries['BULKHEAD_HEARTBEATS_DATABASE_URLS']}.db"
        ),
        "FLOWER_BASIC_AUTH": f"operator:{canaries['FLOWER_BASIC_AUTH']}",
    }


@pytest.fixture(scope="module")
def canaries(session_broker: Broker) -> dict[str, str]:
    """A recognizable part of each secret."""
    marks = {name: canary(name) for name in secret_names()}
    marks["BULKHEAD_BROKER_URL"] = session_broker.url.split("@")[0].rpartition(":")[2]
    marks["BULKHEAD_WEBHOOK_SECRETS"] = base64.b64encode(secrets.token_bytes(30)).decode()
    return marks


@pytest.fixture(scope="module")
def units(
    session_broker: Broker, canaries: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Units]:
    """Every service, each with its secrets."""
    session_broker.reset()
    home = tmp_path_factory.mktemp("secrets")
    ledger = f"sqlite:///{home}/platform/{canaries['BULKHEAD_LEDGER_URL']}.db"
    platform = Platform(home / "platform", session_broker.url, ledger)
    settings = {
        **values(canaries, session_broker),
        "FLOWER_PORT": str(assign_ports(home / "ports.json", ["flower"])["flower"]),
    }
    try:
        with running_units(home / "host", platform, settings=settings) as units:
            units.systemd.run("bulkhead", "migrate")
            units.start(*SERVICES)
            yield units
    except NotInstalled as error:
        skip_or_fail(error)


def allowed(unit: str) -> set[str]:
    """The secrets that the table allows to a unit."""
    template = next((template for template, instance in INSTANCES.items() if instance == unit), unit)
    return loaded_credentials()[template]


def processes(units: Units, unit: str) -> list[int]:
    """The processes of a unit, seen from outside."""
    main = psutil.Process(units.systemd.main_pid(unit))
    return [main.pid, *(child.pid for child in main.children(recursive=True))]


@pytest.mark.parametrize("unit", SERVICES)
def test_given_a_unit_then_its_processes_and_its_credentials_hold_its_own_secrets_and_no_others(
    units: Units, canaries: dict[str, str], unit: str
) -> None:
    names = {mark: name for name, mark in canaries.items()}
    in_memory = {names[mark] for pid in processes(units, unit) for mark in search_process(pid, canaries.values())}
    credentials = units.systemd.run("sh", "-c", f"cat /run/credentials/{unit}.service/*")

    assert in_memory - allowed(unit) == set()
    assert allowed(unit) - in_memory <= UNUSED  # otherwise the search would prove nothing
    assert {name for name, mark in canaries.items() if mark in credentials} == allowed(unit)


def test_given_a_unit_of_the_same_user_then_it_can_read_the_credentials_of_no_other_unit(units: Units) -> None:
    def in_unit(command: str) -> str:
        pid = units.systemd.show("bulkhead-render@1", "MainPID")
        return units.systemd.run(
            "nsenter",
            "-t",
            pid,
            "--mount",
            "--",
            "setpriv",
            "--reuid=bulkhead",
            "--regid=bulkhead",
            "--clear-groups",
            "sh",
            "-c",
            command,
            check=False,
        )

    assert in_unit("ls /run/credentials").split() == ["bulkhead-render@1.service"]
    assert in_unit("cat /etc/bulkhead/credentials/* /run/credentials/bulkhead-webhooks.service/*") == ""
    assert in_unit("cat /etc/bulkhead/bulkhead.env") != ""


def test_given_the_settings_file_then_it_contains_no_secret(units: Units, canaries: dict[str, str]) -> None:
    text = units.systemd.run("cat", "/etc/bulkhead/bulkhead.env")
    assert [name for name, mark in canaries.items() if mark in text] == []


def test_given_the_timer_of_ticket_keys_then_its_service_has_its_own_user_and_files(
    units: Units,
) -> None:
    units.systemd.systemctl("start", ONE_SHOT, check=False)

    assert "The fleet has no nodes." in units.systemd.journal(ONE_SHOT)
    assert "The fleet has no nodes." in units.systemd.run("sh", "-c", "bulkhead tickets status 2>&1", check=False)
    assert units.systemd.run("stat", "--format=%U %a", "/var/lib/bulkhead-rotator") == "bulkhead-rotator 700\n"
