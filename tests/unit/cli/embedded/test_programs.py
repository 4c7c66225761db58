"""Which secrets the processes of `bulkhead up` have."""

from pathlib import Path

import pytest

from cli.embedded.process import Program
from cli.embedded.programs import coalescer_program, scheduler_program, web_program, worker_program
from tasks.messaging.topology import MAINTENANCE, RENDER, WEBHOOKS
from tasks.settings import Settings

SECRETS = {
    "BULKHEAD_ARTIFACT_SECRET": "artifacts",
    "BULKHEAD_LINK_SECRET": "links",
    "BULKHEAD_TOKENS": '{"a-token-of-the-test": "acme"}',
    "BULKHEAD_PLANT_TOKENS": '{"a-token-of-the-test": "plant1"}',
    "BULKHEAD_WEBHOOK_SECRETS": '{"acme": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}',
}


def settings_of(program: Program, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings that the program reads."""
    for name, value in (SECRETS | dict(program.environment)).items():
        if name.startswith("BULKHEAD_"):
            monkeypatch.setenv(name, value)
    return Settings()


def has(settings: Settings) -> set[str]:
    """Which of the secrets the settings contain."""
    values = {
        "artifact": settings.artifact_secret.get_secret_value(),
        "link": settings.link_secret.get_secret_value(),
        "tokens": settings.tokens or settings.plant_tokens,
        "webhooks": settings.webhook_secrets,
    }
    return {name for name, value in values.items() if value}


def test_given_the_web_tier_then_it_has_the_secrets_of_its_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = web_program("127.0.0.1", 8080, SECRETS, tmp_path)
    assert has(settings_of(program, monkeypatch)) == {"artifact", "link", "tokens", "webhooks"}


@pytest.mark.parametrize(
    ("queue", "allowed"),
    [(RENDER, {"artifact"}), (MAINTENANCE, {"artifact"}), (WEBHOOKS, {"artifact", "webhooks"})],
)
def test_given_a_worker_then_it_has_no_token_and_cannot_sign_links(
    queue: str, allowed: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = worker_program("one", queue, "amqp://127.0.0.1//", SECRETS, tmp_path)
    assert has(settings_of(program, monkeypatch)) == allowed


def test_given_scheduler_and_coalescer_then_they_have_no_token_and_cannot_sign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in (scheduler_program(tmp_path / "beat", SECRETS, tmp_path), coalescer_program("one", {}, tmp_path)):
        assert has(settings_of(program, monkeypatch)) == {"artifact"}
