"""Settings: webhooks."""

from typing import Annotated

from pydantic import Field, IPvAnyNetwork, field_validator
from pydantic_settings import BaseSettings, NoDecode

from tasks.settings.types import RetryDelay, is_webhook_secret
from tasks.utils.tenant import Tenant


class WebhookSettings(BaseSettings):
    """Webhooks"""

    webhook_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Hosts that webhooks may be sent to, separated by spaces; `*.example.com` includes all its "
        "subdomains. Unset: none.",
    )
    webhook_networks: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = Field(
        (),
        description="Private networks that webhooks may be sent to, such as `10.1.2.0/24`, separated by spaces. "
        "Plain http is allowed only in these networks.",
    )
    webhook_secrets: Annotated[dict[Tenant, str], NoDecode] = Field(
        default_factory=dict,
        description='Signing secrets of the tenants, as JSON: `{"tenant": "whsec_…"}`. Create one with `echo '
        "whsec_$(openssl rand -base64 32)`. To rotate a secret, write the new one before the old one, separated by a "
        "space.",
        repr=False,
    )
    webhook_tenants: Annotated[tuple[Tenant, ...], NoDecode] = Field(
        (),
        description="Tenants that may use webhooks, separated by spaces. Set it where the web tier does not have the "
        "secrets, as under systemd. Unset: the tenants in BULKHEAD_WEBHOOK_SECRETS.",
    )
    webhook_retry_delays: Annotated[tuple[RetryDelay, ...], NoDecode] = Field(
        (5, 30, 120, 600, 3600, 14_400, 43_200),
        description="Seconds before each retry of a webhook, separated by spaces. After the last retry "
        "the webhook becomes a dead letter.",
    )
    webhook_timeout: float = Field(10, gt=0, le=60, description="Seconds that a receiver has to answer a webhook.")

    @field_validator("webhook_secrets")
    @classmethod
    def check_webhook_secrets(cls, secrets: dict[str, str]) -> dict[str, str]:
        """Reject malformed secrets, and those shorter than Standard Webhooks requires."""
        if not all(is_webhook_secret(each) for some in secrets.values() for each in some.split() or [""]):
            raise ValueError(
                "write a secret as whsec_ followed by Base64; make one with `echo whsec_$(openssl rand -base64 32)`"
            )
        return secrets
