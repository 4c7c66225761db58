"""Webhooks: the event that reports the end of a render, and its message.

    finished job in the ledger --outbox--> `webhooks` --> worker --signed POST--> receiver
                                               ^             | delivery failed
                                               +-- `webhooks.retry.<ms>`, at last `webhooks.dead`

The ledger records which webhooks are still to be published (`tasks.webhook_outbox`), so that none is lost however a job
ends. A webhook may be delivered more than once, always with the same id.
"""

from collections.abc import Sequence
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from tasks.utils.tenant import Tenant

TASK = "webhooks.deliver"

# The event holds ids, a file name and the sentence of an error.
MAX_BODY_BYTES = 16 * 1024

# A host name, a port and a path. Nothing that two parsers could read differently: no user, no fragment.
WebhookUrl = Annotated[
    str, StringConstraints(max_length=500, pattern=r"^https?://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?(/[!-\"$-~]*)?$")
]


class WebhookMessage(BaseModel):
    """A webhook to deliver."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1] = Field(1, description="Version of this message's schema.")
    id: str = Field(
        pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        description="The same for every attempt: the header `webhook-id`, and the Celery task id.",
    )
    tenant: Tenant = Field(description="Tenant whose secret signs it.")
    url: WebhookUrl = Field(description="URL to send it to.")
    body: str = Field(max_length=MAX_BODY_BYTES, description="Body to send, exactly as it is signed.")
    failed_attempts: int = Field(0, ge=0, le=1000, description="Number of failed deliveries.")
    traceparent: Annotated[str, StringConstraints(max_length=55)] | None = Field(None, description="W3C trace context.")


def is_host_allowed(url: str, hosts: Sequence[str]) -> bool:
    """Whether `hosts` lists the URL's host: as `example.com`, or as `*.example.com` for all subdomains."""
    host = (urlsplit(url).hostname or "").removesuffix(".").lower()
    return any(host.endswith(name[1:]) if name.startswith("*.") else host == name for name in map(str.lower, hosts))
