"""Reading whatever properties a message has.

py-amqp raises in the middle of a connection when it cannot decode a property (text that is no UTF-8, a time beyond the
year 9999, an unknown type). One such message would end every worker that it is delivered to.
"""

import struct
from typing import Any

from amqp import serialization
from amqp.exceptions import AMQPError
from amqp.spec import Basic

# The only header of a message whose properties cannot be read; its value says why.
UNREADABLE = "x-bulkhead-unreadable"


def read_any_properties() -> None:
    """Let connections of this process hand out messages with unreadable properties, too. May be called again."""
    serialization.PROPERTY_CLASSES[Basic.CLASS_ID] = _read


def _read(buffer: bytes, offset: int) -> tuple[dict[str, Any], int]:
    try:
        properties: tuple[dict[str, Any], int] = serialization.decode_properties_basic(buffer, offset)
    except (ValueError, TypeError, ArithmeticError, LookupError, OSError, RecursionError, struct.error, AMQPError) as e:
        return {"application_headers": {UNREADABLE: f"{type(e).__name__}: {e}"}}, len(buffer)
    return properties
