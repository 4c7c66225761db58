"""Kinds of values that settings have: what they look like, and how they are read."""

import json
import re
from base64 import b64decode
from typing import Annotated

from pydantic import Field, StringConstraints

# How URLs of a broker and of a database begin.
BROKER_SCHEMES = ("amqp://", "amqps://")
DATABASE_SCHEMES = ("sqlite:///", "mysql+pymysql://")

# The topic is part of a column of 63 characters.
KAFKA_URL = re.compile(r"kafka://[^/?#@]+/[A-Za-z0-9._-]{1,57}(\?[^#]+)?")

# One of those who may frame a page, as Content-Security-Policy names them. No other of its sources, and no end of it.
FRAME_ANCESTOR = r"('self'|https?://[A-Za-z0-9.*-]+(:[0-9]{1,5})?)"

Tenant = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]

# Seconds, a week at most: whose receiver is down for longer asks for itself.
RetryDelay = Annotated[float, Field(gt=0, le=7 * 86_400)]

# Settings that are JSON objects, and what one looks like.
JSON_EXAMPLES = {
    "tokens": '{"token": "tenant"}',
    "plant_tokens": '{"token": "plant"}',
    "webhook_secrets": '{"tenant": "whsec_…"}',
    "presets": '{"poster": {"width": 8192}}',
}

MIN_TOKEN_LENGTH = 16

# Bytes: the least that Standard Webhooks wants.
MIN_SECRET_BYTES = 24


def parse_json(value: object, example: str) -> object:
    """What a variable's text says; anything but text as it is. Raises ValueError, which shows an example."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError(f"write it as JSON: {example}") from None


def is_webhook_secret(text: str) -> bool:
    """Whether it is a secret of webhooks, long enough."""
    try:
        return len(b64decode(text.removeprefix("whsec_"), validate=True)) >= MIN_SECRET_BYTES
    except ValueError:
        return False
