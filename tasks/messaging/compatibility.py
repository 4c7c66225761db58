"""Reading whatever properties a message has.

py-amqp raises in the middle of a connection when it cannot decode a property (text that is no UTF-8, a time beyond the
year 9999, an unknown type). One such message would end every worker that it is delivered to. kombu unpacks a body
whose headers call it compressed before anybody can look at it, however large it grows, and Celery acknowledges what
could not be unpacked.
"""

import struct
from typing import Any

from amqp import serialization
from amqp.exceptions import AMQPError
from amqp.spec import Basic

# A header of a message that must not be read any further; its value says why.
UNREADABLE_HEADER = "x-bulkhead-unreadable"

COMPRESSION_HEADER = "compression"


def tolerate_malformed_properties() -> None:
    """Let connections of this process hand out every message, marked and its body as it is. May be called again."""
    serialization.PROPERTY_CLASSES[Basic.CLASS_ID] = _decode_properties


def _decode_properties(buffer: bytes, offset: int) -> tuple[dict[str, Any], int]:
    try:
        properties, end = serialization.decode_properties_basic(buffer, offset)
    except (ValueError, TypeError, ArithmeticError, LookupError, OSError, RecursionError, struct.error, AMQPError) as e:
        return {"application_headers": {UNREADABLE_HEADER: f"{type(e).__name__}: {e}"}}, len(buffer)
    if end > len(buffer):
        return {"application_headers": {UNREADABLE_HEADER: "a property is cut short"}}, len(buffer)
    headers = properties.get("application_headers", {})
    if headers.pop(COMPRESSION_HEADER, None) is not None:
        headers[UNREADABLE_HEADER] = "compressed bodies are not taken"
    return properties, end
