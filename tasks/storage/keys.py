"""What a key of the store may look like."""

from __future__ import annotations

import re

from tasks.storage.errors import InvalidKey

MANIFEST = "manifest.json"  # its presence says that an artifact is complete

MAX_KEY_LENGTH = 512  # bytes; S3 allows 1,024, a prefix of the bucket's own takes its part of them
KEY_PART_PATTERN = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}"
KEY_PATTERN = re.compile(rf"{KEY_PART_PATTERN}(/{KEY_PART_PATTERN})*\Z")


def check_key(key: str) -> str:
    """Return `key` unchanged, or raise InvalidKey if it could escape the store."""
    if len(key) > MAX_KEY_LENGTH or not KEY_PATTERN.match(key):
        raise InvalidKey(key)
    return key
