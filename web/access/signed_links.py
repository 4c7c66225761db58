"""Signed links: a browser sends no token with a picture, so a link itself opens one render's outputs, for a while.

Links are signed where tokens are asked for. Who holds one may read what it names and nothing else.
"""

from __future__ import annotations

import hashlib
import hmac

from tasks.jobs import Job
from tasks.settings import Settings

PURPOSE = b"output link"  # the same secret keys other things
SIGNATURE_DIGITS = 32  # hexadecimal ones of a signature: 128 bits


def signed_query(settings: Settings, job: Job, now: float) -> str:
    """What is put behind a link to an output of `job`; nothing where links are not signed.

    It is the same for all links of a period, so that a browser finds what it has kept, and good for one to two periods.
    """
    period = settings.signed_link_ttl
    if not (settings.tokens and period and settings.secret.get_secret_value()):
        return ""
    until = (int(now) // period + 2) * period
    return f"?until={until}&signature={sign(settings, job, until)}"


def sign(settings: Settings, job: Job, until: int) -> str:
    """HMAC-SHA256 over purpose, tenant, job and the second (since 1970) up to which it is good."""
    said = b"\0".join((PURPOSE, job.tenant.encode(), job.id.encode(), str(until).encode()))
    return hmac.new(settings.secret.get_secret_value().encode(), said, hashlib.sha256).hexdigest()[:SIGNATURE_DIGITS]


def is_valid(settings: Settings, job: Job, until: int, given: str, now: float) -> bool:
    """Whether a signed link opens the outputs of `job` now."""
    if not signed_query(settings, job, now) or until < now:
        return False
    return hmac.compare_digest(given.encode(), sign(settings, job, until).encode())
