"""`bulkhead doctor` finds secrets that every unit can read."""

from pathlib import Path

import pytest

from cli.commands.doctor import check_secrets
from tasks.settings import Settings, secret_variables


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CREDENTIALS_DIRECTORY", *secret_variables()):
        monkeypatch.delenv(name, raising=False)


def test_given_a_secret_in_the_environment_of_an_installation_then_the_check_says_where_it_belongs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert check_secrets(Settings()).ok

    monkeypatch.setenv("BULKHEAD_TOKENS", "{}")
    monkeypatch.setenv("BULKHEAD_BROKER_URL", "amqp://user:hush@host//")
    result = check_secrets(Settings())

    assert (result.ok, result.detail) == (False, "Every unit can read BULKHEAD_BROKER_URL, BULKHEAD_TOKENS.")
    assert "/etc/bulkhead/credentials" in result.remedy


def test_given_a_laptop_then_secrets_in_the_environment_are_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULKHEAD_BROKER_URL", "amqp://user:hush@host//")

    assert check_secrets(Settings()).ok
