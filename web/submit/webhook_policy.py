"""Validates the webhook of a request, so that one that could never be sent is rejected at once."""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from tasks.settings import Settings
from tasks.webhooks import WebhookUrl, is_host_allowed
from web.problems import Problem

_url: TypeAdapter[str] = TypeAdapter(WebhookUrl)


def check_webhook(settings: Settings, tenant: str, url: str | None) -> str | None:
    """The URL, if this server may send webhooks of the tenant to it. Raises a 422 problem."""
    if url is None:
        return None
    try:
        _url.validate_python(url)
    except ValidationError as error:
        detail = "The webhook must be a URL with a host name, such as https://portal.example.com/path."
        raise Problem(422, "webhook-not-allowed", detail) from error
    if not is_host_allowed(url, settings.webhook_hosts):
        raise Problem(
            422, "webhook-not-allowed", "This server does not send webhooks to that host (BULKHEAD_WEBHOOK_HOSTS)."
        )
    if tenant not in (settings.webhook_tenants or settings.webhook_secrets):
        detail = (
            f"The tenant {tenant} may not use webhooks. "
            "Add it to BULKHEAD_WEBHOOK_TENANTS, and its secret to BULKHEAD_WEBHOOK_SECRETS."
        )
        raise Problem(422, "webhook-not-allowed", detail)
    return url
