"""The keys of the store."""

from __future__ import annotations

import re

from tasks.storage.errors import InvalidKey

MANIFEST = "manifest.json"  # an artifact is complete once this file exists

MAX_KEY_LENGTH = 512  # bytes; S3 allows 1,024 including the store's own prefix
KEY_PART_PATTERN = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}"
KEY_PATTERN = re.compile(rf"{KEY_PART_PATTERN}(/{KEY_PART_PATTERN})*\Z")


def check_key(key: str) -> str:
    """Return `key` unchanged. Raises InvalidKey if it could lead out of the store."""
    if len(key) > MAX_KEY_LENGTH or not KEY_PATTERN.match(key):
        raise InvalidKey(key)
    return key
