"""Webhooks that a request asks for: refused at once if they would never be sent."""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from tasks.settings import Settings
from tasks.webhooks import WebhookUrl, is_host_allowed
from web.problems import Problem

_url: TypeAdapter[str] = TypeAdapter(WebhookUrl)


def check_webhook(settings: Settings, tenant: str, url: str | None) -> str | None:
    """The address, if this server sends webhooks of the tenant there. Raises a 422 problem."""
    if url is None:
        return None
    try:
        _url.validate_python(url)
    except ValidationError as error:
        detail = "The webhook must be the address of a host by name: https://portal.example.com/path."
        raise Problem(422, "webhook-refused", detail) from error
    if not is_host_allowed(url, settings.webhook_hosts):
        raise Problem(422, "webhook-refused", "This server sends no webhooks to that host (BULKHEAD_WEBHOOK_HOSTS).")
    if tenant not in settings.webhook_secrets:
        detail = f"No secret signs the webhooks of the tenant {tenant} (BULKHEAD_WEBHOOK_SECRETS)."
        raise Problem(422, "webhook-refused", detail)
    return url
