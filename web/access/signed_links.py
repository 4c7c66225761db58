"""Signed links: temporary access to one render's outputs, because browsers send no token with an image request.

Links are signed if tokens are configured. A link permits to read the outputs of its render and nothing else.
"""

from __future__ import annotations

import hashlib
import hmac

from tasks.jobs import Job
from tasks.settings import Settings

PURPOSE = b"output link"  # domain separation, in case the secret is ever used for another HMAC
SIGNATURE_DIGITS = 32  # hexadecimal digits of a signature: 128 bits


def signed_query(settings: Settings, job: Job, now: float) -> str:
    """The query string of a signed link to an output of `job`; empty if links are not signed.

    It is the same for all links of a period, so that browsers can cache outputs, and valid for one to two periods.
    """
    period = settings.signed_link_ttl
    if not (settings.tokens and period and settings.link_secret.get_secret_value()):
        return ""
    expires = (int(now) // period + 2) * period
    return f"?expires={expires}&signature={sign(settings, job, expires)}"


def sign(settings: Settings, job: Job, expires: int) -> str:
    """HMAC-SHA256 over purpose, tenant, job and expiry time (seconds since 1970)."""
    message = b"\0".join((PURPOSE, job.tenant.encode(), job.id.encode(), str(expires).encode()))
    return hmac.new(settings.link_secret.get_secret_value().encode(), message, hashlib.sha256).hexdigest()[
        :SIGNATURE_DIGITS
    ]


def is_valid(settings: Settings, job: Job, expires: int, signature: str, now: float) -> bool:
    """Whether a signed link to the outputs of `job` is valid now."""
    if not signed_query(settings, job, now) or expires < now:
        return False
    return hmac.compare_digest(signature.encode(), sign(settings, job, expires).encode())
