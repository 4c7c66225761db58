"""Compatibility with py-amqp and kombu: messages with malformed properties can be received.

py-amqp raises while it reads from the connection if it cannot decode a property (invalid UTF-8, a time beyond the year
9999, an unknown type): one such message ends every worker that it is delivered to. kombu decompresses a body before any
code of ours sees it, whatever its size, and Celery acknowledges messages that could not be decompressed.
"""

import struct
from typing import Any

from amqp import serialization
from amqp.exceptions import AMQPError
from amqp.spec import Basic

# Header that marks a message which must not be processed; its value is the reason.
UNREADABLE_HEADER = "x-bulkhead-unreadable"

COMPRESSION_HEADER = "compression"


def tolerate_malformed_properties() -> None:
    """Make the connections of this process deliver every message; bad ones are marked with UNREADABLE_HEADER.

    May be called more than once.
    """
    serialization.PROPERTY_CLASSES[Basic.CLASS_ID] = _decode_properties


def _decode_properties(buffer: bytes, offset: int) -> tuple[dict[str, Any], int]:
    try:
        properties, end = serialization.decode_properties_basic(buffer, offset)
    except (ValueError, TypeError, ArithmeticError, LookupError, OSError, RecursionError, struct.error, AMQPError) as e:
        return {"application_headers": {UNREADABLE_HEADER: f"{type(e).__name__}: {e}"}}, len(buffer)
    if end > len(buffer):
        return {"application_headers": {UNREADABLE_HEADER: "a property is truncated"}}, len(buffer)
    headers = properties.get("application_headers", {})
    if headers.pop(COMPRESSION_HEADER, None) is not None:
        headers[UNREADABLE_HEADER] = "compressed bodies are not accepted"
    return properties, end
