"""What a sandboxed process writes to its pipe, a JSON object a line, and how the trusted side reads it.

The process may be controlled by an attacker, so lines are bounded in length and number, parsed with a schema, and
ignored if they do not match it.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

# Bytes of a line; a longer one is dropped. The result of a body is a line, too.
MAX_LINE_BYTES = 64 * 1024

# Bytes of all lines together, after which the process is stopped. An hour of progress is about 2 MB.
MAX_TOTAL_BYTES = 16 * 1024**2

MAX_NAME_LENGTH = 1000
MAX_TEXT_LENGTH = 4000
MAX_TRACEBACK_LENGTH = 16_000

# Escape sequences would reach the terminal of whoever reads the text.
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

Report = Callable[[Mapping[str, Any]], None]


def _printable(text: str) -> str:
    return _CONTROL_CHARACTERS.sub("\ufffd", text)


Text = Annotated[str, AfterValidator(_printable)]


class _ReportModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Progress(_ReportModel):
    """Progress in percent, the stage, and the layer if there is one."""

    percent: int = Field(ge=0, le=100)
    stage: Text = Field(max_length=MAX_NAME_LENGTH)
    layer: Text = Field("", max_length=MAX_NAME_LENGTH)


class Failure(_ReportModel):
    """An error that the body raised: its code, a message for users, and a traceback if it was unexpected."""

    code: str = Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")
    message: Text = Field(max_length=MAX_TEXT_LENGTH)
    traceback: Text = Field("", max_length=MAX_TRACEBACK_LENGTH)


class Line(_ReportModel):
    """One line, which has one of the fields."""

    progress: Progress | None = None
    result: dict[str, Any] | None = None
    failure: Failure | None = None


class LineReader:
    """Splits received bytes into lines and parses them. `total` counts the bytes received."""

    def __init__(self) -> None:
        self.total = 0
        self._partial = b""
        self._skips_line = False

    def feed(self, received: bytes) -> Iterator[Line]:
        """The valid lines that `received` completes."""
        self.total += len(received)
        *lines, rest = received.split(b"\n")
        for line in lines:
            complete, skipped = self._partial + line, self._skips_line
            self._partial, self._skips_line = b"", False
            if not skipped and len(complete) <= MAX_LINE_BYTES and (parsed := _parse(complete)):
                yield parsed
        if len(self._partial) + len(rest) > MAX_LINE_BYTES:
            self._partial, self._skips_line = b"", True
        elif not self._skips_line:
            self._partial += rest


def encode(**fields: Any) -> bytes:
    """A line for the pipe. Raises ValueError if it is too long or no JSON."""
    line = json.dumps(fields, separators=(",", ":")).encode() + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"A report has at most {MAX_LINE_BYTES} bytes, not {len(line)}.")
    return line


def _parse(line: bytes) -> Line | None:
    try:
        return Line.model_validate_json(line)
    except ValidationError:
        return None
