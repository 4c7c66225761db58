"""Types of setting values, and how they are parsed."""

import json
import re
from base64 import b64decode
from functools import lru_cache
from ipaddress import ip_address
from typing import Annotated

from pydantic import Field

BROKER_SCHEMES = ("amqp://", "amqps://")
DATABASE_SCHEMES = ("sqlite:///", "mysql+pymysql://")

# The topic is part of a database column of 63 characters.
KAFKA_URL = re.compile(r"kafka://[^/?#@]+/[A-Za-z0-9._-]{1,57}(\?[^#]+)?")

# One source of the CSP directive `frame-ancestors`: no keyword but 'self', and no character that could end the
# directive.
FRAME_ANCESTOR = r"('self'|https?://[A-Za-z0-9.*-]+(:[0-9]{1,5})?)"

# At most a week: a receiver that is down for longer asks for the state itself.
RetryDelay = Annotated[float, Field(gt=0, le=7 * 86_400)]

# Settings that are JSON objects, each with an example.
JSON_EXAMPLES = {
    "tokens": '{"token": "tenant"}',
    "plant_tokens": '{"token": "plant"}',
    "webhook_secrets": '{"tenant": "whsec_…"}',
    "presets": '{"poster": {"width": 8192}}',
}

MIN_TOKEN_LENGTH = 16

# Minimum length of a signing secret (Standard Webhooks).
MIN_SECRET_BYTES = 24


def parse_json(value: object, example: str) -> object:
    """Parse a variable's text as JSON; other values are returned as they are. Raises ValueError with an example."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError(f"write it as JSON: {example}") from None


@lru_cache(maxsize=1024)
def is_loopback(host: str | None) -> bool:
    """Whether `host` is a loopback address or name."""
    if host is None:
        return False
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def is_webhook_secret(text: str) -> bool:
    """Whether `text` is a well-formed signing secret of sufficient length."""
    try:
        return len(b64decode(text.removeprefix("whsec_"), validate=True)) >= MIN_SECRET_BYTES
    except ValueError:
        return False
