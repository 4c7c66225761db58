"""Settings come from the environment, else from the file of `bulkhead up`, else from their defaults."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from tasks.settings import Settings, settings


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory without settings, and none in the environment."""
    import os

    for name in [name for name in os.environ if name.startswith("BULKHEAD_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_given_nothing_then_everything_lies_below_var_and_listens_on_loopback() -> None:
    settings = Settings()

    assert settings.ledger_url.get_secret_value() == "sqlite:///var/ledger.db"
    assert settings.store_url == "var/store"
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.memory_limit == 512 * 1024 * 1024
    assert settings.tokens == {}


@pytest.mark.parametrize("var", ["", "elsewhere"])
def test_given_a_file_of_the_private_platform_then_it_is_read_and_the_environment_comes_before_it(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, var: str
) -> None:
    for directory in ("var", "elsewhere"):
        (elsewhere / directory).mkdir()
        deaths = 5 if directory == (var or "var") else 6
        (elsewhere / directory / "bulkhead.env").write_text(
            f"BULKHEAD_PORT=9001\nBULKHEAD_MAX_CRASHES={deaths}\nBULKHEAD_UNKNOWN=1\nPATH=/nowhere\n"
        )
    monkeypatch.setenv("BULKHEAD_PORT", "9002")
    monkeypatch.setenv("BULKHEAD_VAR", var) if var else monkeypatch.delenv("BULKHEAD_VAR", raising=False)

    found = settings.__wrapped__()

    assert (found.port, found.max_crashes) == (9002, 5)


def test_given_credentials_of_systemd_then_they_are_read_after_the_environment_and_an_empty_one_is_unset(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "var").mkdir()
    (elsewhere / "var/bulkhead.env").write_text("BULKHEAD_ARTIFACT_SECRET=file\nBULKHEAD_REDIS_URL=redis://file\n")
    credentials = {
        "BULKHEAD_ARTIFACT_SECRET": "credential\n",
        "BULKHEAD_REDIS_URL": "",
        "BULKHEAD_LINK_SECRET": "credential",
        "BULKHEAD_TOKENS": '{"a-long-random-token-1": "acme"}',
        "AWS_CREDENTIALS": "unknown",
    }
    (elsewhere / "credentials").mkdir()
    for name, text in credentials.items():
        (elsewhere / "credentials" / name).write_text(text)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(elsewhere / "credentials"))
    monkeypatch.setenv("BULKHEAD_LINK_SECRET", "environment")

    found = settings.__wrapped__()

    assert found.artifact_secret.get_secret_value() == "credential"
    assert found.link_secret.get_secret_value() == "environment"
    assert found.redis_url is not None
    assert found.redis_url.get_secret_value() == "redis://file"
    assert found.tokens == {"a-long-random-token-1": "acme"}


def test_tokens_are_read_from_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULKHEAD_TOKENS", '{"a-long-random-token-1": "acme"}')

    assert Settings().tokens == {"a-long-random-token-1": "acme"}


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PORT", "70000", "less than or equal to 65535"),
        ("PORT", "http", "valid integer"),
        ("BROKER_URL", "amqp://one//;http://two", "amqp://user:password@host:5672//"),
        ("LEDGER_URL", "postgresql://host/db", "sqlite:///path or mysql"),
        ("HEARTBEATS_DATABASE_URLS", "mysql+pymysql://one/db two/db", "sqlite:///path or mysql"),
        ("MEMORY_LIMIT", "1000", "greater than or equal to 134217728"),
        ("RENDER_WALL_LIMIT", "1501", "less than or equal to 1500"),
        ("MAX_CRASHES", "0", "greater than or equal to 1"),
        ("LEASE", "0.5", "greater than or equal to 1"),
        ("PUBLISH_TIMEOUT", "0", "greater than 0"),
        ("CHILD_NICENESS", "-1", "greater than or equal to 0"),
        ("TOKENS", '{"a-long-random-token-1": "No Tenant"}', "should match pattern"),
        ("TOKENS", '{"short": "acme"}', "make one with `openssl rand -hex 24`"),
    ],
)
def test_a_bad_value_is_refused_with_its_name_and_what_would_do(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(f"BULKHEAD_{name}", value)

    with pytest.raises(ValidationError, match=says) as caught:
        Settings()

    assert name.lower() in str(caught.value)


def test_settings_show_no_secret_when_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        "BROKER_URL": "amqp://user:hush-1@host//",
        "LEDGER_URL": "mysql+pymysql://user:hush-2@host/db",
        "LINK_SECRET": "hush-3-hush-3-hush-3",
        "TOKENS": '{"hush-4-hush-4-hush-4": "acme"}',
        "REDIS_URL": "redis://:hush-5@host",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(f"BULKHEAD_{name}", value)

    assert "hush" not in repr(Settings())
    assert "hush" not in str(Settings())


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("tokens", "advice"),
    [
        ("abc", 'write it as JSON: {"token": "tenant"}'),
        ('{"hush-hush": "acme"}', "make one with `openssl rand -hex 24`"),
    ],
)
def test_given_tokens_that_cannot_be_used_then_the_error_says_what_to_do_and_shows_none(
    monkeypatch: pytest.MonkeyPatch, tokens: str, advice: str
) -> None:
    monkeypatch.setenv("BULKHEAD_TOKENS", tokens)

    with pytest.raises(ValidationError) as caught:
        Settings()

    assert advice in str(caught.value)
    assert "hush-hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "sandbox", "required"),
    [
        ("127.0.0.1", None, False),
        ("::1", None, False),
        ("localhost", None, False),
        ("192.0.2.1", None, True),
        ("cad.example.com", None, True),
        ("127.0.0.1", "required", True),
        ("192.0.2.1", "best-effort", False),
    ],
)
def test_given_a_public_address_then_the_sandbox_is_required_unless_set_otherwise(
    monkeypatch: pytest.MonkeyPatch, host: str, sandbox: str | None, required: bool
) -> None:
    monkeypatch.setenv("BULKHEAD_HOST", host)
    if sandbox:
        monkeypatch.setenv("BULKHEAD_SANDBOX", sandbox)
    assert Settings().requires_sandbox is required
