"""Webhooks: what is told of a render's end, to whom, and how it travels.

    settled job in the ledger --announce--> `webhooks` --> worker --signed POST--> receiver
                                                ^             | nobody took it
                                                +-- `webhooks.wait.<ms>`, then `webhooks.dead`

The ledger remembers what is still to be announced (`tasks.jobs.webhook_outbox`), so that no way a job may end is
forgotten. A webhook may be sent more than once, always with the same id.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from tasks.settings.types import Tenant

if TYPE_CHECKING:
    from tasks.jobs import Job

TASK = "webhooks.deliver"

# Bytes of what is told: ids, a file name, an error in a sentence.
MAX_BODY_BYTES = 16 * 1024

# Ids of webhooks are made of their job's in this namespace: the same end has the same id, however often it is told.
WEBHOOK_ID_NAMESPACE = UUID("6f3fb1f0-5a0c-4b52-9a73-0d3f4d2d6c58")

# A host by name, a port and a path. No user, no fragment, nothing that two parsers could read differently.
WebhookUrl = Annotated[
    str, StringConstraints(max_length=500, pattern=r"^https?://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?(/[!-\"$-~]*)?$")
]


class WebhookMessage(BaseModel):
    """One webhook on its way."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1] = Field(1, description="Version of this message's schema.")
    id: str = Field(
        pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        description="The same at every try: the header `webhook-id`, and the Celery task id.",
    )
    tenant: Tenant = Field(description="Whose secret signs it.")
    url: WebhookUrl = Field(description="Where it goes.")
    body: str = Field(max_length=MAX_BODY_BYTES, description="What is sent, as it is signed.")
    failed_attempts: int = Field(0, ge=0, le=1000, description="How often it was sent in vain.")
    traceparent: Annotated[str, StringConstraints(max_length=55)] | None = Field(None, description="W3C trace context.")


def webhook_message(job: "Job") -> WebhookMessage:
    """The webhook that tells the end of a settled job which names one."""
    assert job.webhook is not None  # noqa: S101 -- whoever calls has looked
    finished = job.finished_at or job.updated_at
    event = {
        "type": f"render.{job.state}",
        "timestamp": datetime.fromtimestamp(finished, UTC).isoformat(timespec="milliseconds"),
        "data": {"id": job.id, "state": job.state, "filename": job.filename, "error": job.error},
    }
    return WebhookMessage(
        id=str(uuid5(WEBHOOK_ID_NAMESPACE, f"{job.id} {job.state} {finished!r}")),
        tenant=job.tenant,
        url=job.webhook,
        body=json.dumps(event, ensure_ascii=False, separators=(",", ":")),
        traceparent=job.traceparent,
    )


def is_host_allowed(url: str, hosts: Sequence[str]) -> bool:
    """Whether the URL's host is on the list, by its name: `example.com`, or `*.example.com` for all below."""
    host = (urlsplit(url).hostname or "").removesuffix(".").lower()
    return any(host.endswith(name[1:]) if name.startswith("*.") else host == name for name in map(str.lower, hosts))
