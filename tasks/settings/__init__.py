"""Every BULKHEAD_* variable: typed and documented, one module for each group.

A value comes from the environment, else from systemd's credentials, else from the file `bulkhead.env` in BULKHEAD_VAR,
which `bulkhead up` writes for its embedded platform, else from the default. The embedded platform needs no settings; an
installation needs at least two URLs.
"""

import os
from functools import cache
from pathlib import Path
from typing import get_args

from pydantic import SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from tasks.settings.access import AccessSettings
from tasks.settings.heartbeats import HeartbeatSettings
from tasks.settings.http import HttpSettings
from tasks.settings.maintenance import MaintenanceSettings
from tasks.settings.observability import ObservabilitySettings
from tasks.settings.services import DEFAULT_VAR, ServiceSettings
from tasks.settings.tickets import TicketSettings
from tasks.settings.types import JSON_EXAMPLES, is_loopback, parse_json
from tasks.settings.webhooks import WebhookSettings
from tasks.settings.workers import WorkerSettings
from tasks.utils.credentials import read_credentials

__all__ = ["DEFAULT_VAR", "ENVIRONMENT_FILE", "GROUPS", "Settings", "secret_variables", "settings"]

ENVIRONMENT_FILE = "bulkhead.env"

# The groups in the order of the reference page. The docstring of each is its heading there.
GROUPS: tuple[type[BaseSettings], ...] = (
    ServiceSettings,
    AccessSettings,
    HttpSettings,
    WorkerSettings,
    HeartbeatSettings,
    TicketSettings,
    WebhookSettings,
    MaintenanceSettings,
    ObservabilitySettings,
)


class Settings(
    ObservabilitySettings,
    MaintenanceSettings,
    WebhookSettings,
    TicketSettings,
    HeartbeatSettings,
    WorkerSettings,
    HttpSettings,
    AccessSettings,
    ServiceSettings,
):
    """The platform's settings. Sizes are bytes, times are seconds. Raises pydantic.ValidationError on a bad value."""

    model_config = SettingsConfigDict(
        env_prefix="BULKHEAD_",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,  # a value may be a secret
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The sources of values, the first one first."""
        credentials = read_credentials(cls.model_config["env_prefix"], cls.model_fields)
        from_credentials = InitSettingsSource(settings_cls, init_kwargs=credentials)
        return init_settings, env_settings, from_credentials, dotenv_settings, file_secret_settings

    @field_validator(*JSON_EXAMPLES, mode="before")
    @classmethod
    def parse_json_objects(cls, value: object, info: ValidationInfo) -> object:
        """Parse JSON here rather than in pydantic-settings, so that the error shows an example."""
        return parse_json(value, JSON_EXAMPLES[info.field_name or ""])

    @field_validator("webhook_hosts", "webhook_networks", "webhook_tenants", "webhook_retry_delays", mode="before")
    @classmethod
    def split_lists(cls, words: object) -> object:
        """Split lists at spaces; the items are validated as usual."""
        return words.split() if isinstance(words, str) else words

    @property
    def requires_sandbox(self) -> bool:
        """Whether no render may run on a system that lacks a control of the sandbox."""
        if self.sandbox is not None:
            return self.sandbox == "required"
        return not is_loopback(self.host)

    def heartbeats_database_nodes(self) -> list[str]:
        """URLs of the databases that may hold the table of machines, in order of preference."""
        return self.heartbeats_database_urls.get_secret_value().split() or [self.ledger_url.get_secret_value()]


def secret_variables() -> frozenset[str]:
    """The variables whose values are secret. Each service needs only some of them."""
    types = {name: (field.annotation, *get_args(field.annotation)) for name, field in Settings.model_fields.items()}
    hidden = {name for name, field in Settings.model_fields.items() if not field.repr}
    return frozenset(f"BULKHEAD_{name.upper()}" for name in types if name in hidden or SecretStr in types[name])


@cache
def settings() -> Settings:
    """The settings of this process, read once."""
    var = Path(os.environ.get("BULKHEAD_VAR") or DEFAULT_VAR)
    return Settings(_env_file=var / ENVIRONMENT_FILE)
