"""Incremental parser of a render form (multipart/form-data): `feed` it bytes, it returns the blueprint's bytes.

Pure: it performs no I/O, and holds only a few small fields in memory.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from tasks.renders import MAX_FILENAME
from web.problems import Problem

BLUEPRINT = "blueprint"
MAX_FIELDS = 32
MAX_FIELD_BYTES = 4096
MAX_PART_HEADERS = 8
MAX_PART_HEADER_BYTES = 4096


@dataclass
class RenderForm:
    """The fields of the form other than the blueprint."""

    filename: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    has_blueprint: bool = False


class FormReader:
    """Parses one form. Raises 400 and 422 problems."""

    def __init__(self, boundary: bytes) -> None:
        self.form = RenderForm()
        self._blueprint_pieces: list[memoryview] = []
        self._header = (bytearray(), bytearray())
        self._name: str | None = None
        self._value = bytearray()
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
            max_header_count=MAX_PART_HEADERS,
            max_header_size=MAX_PART_HEADER_BYTES,
        )

    def feed(self, data: bytes) -> list[memoryview]:
        """Parse `data`, and return the pieces of the blueprint in it, without copying them."""
        self._blueprint_pieces = []
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise malformed_form() from error
        return self._blueprint_pieces

    def finish(self) -> RenderForm:
        """The form, after all of it has been fed."""
        if not self._ended:
            raise malformed_form()
        if not self.form.has_blueprint:
            raise Problem(422, "invalid-request", f"Send the drawing in the file field '{BLUEPRINT}'.")
        return self.form

    def _on_part_begin(self) -> None:
        self._name = None
        self._value = bytearray()

    def _on_header_end(self) -> None:
        name, value = (bytes(part) for part in self._header)
        self._header = (bytearray(), bytearray())
        if name.lower() != b"content-disposition":
            return
        kind, parameters = parse_options_header(value)
        if kind == b"form-data" and b"name" in parameters:
            self._name = parameters[b"name"].decode("utf-8", "replace")
            if self._name == BLUEPRINT and not self.form.has_blueprint:
                self.form.filename = clean_filename(parameters.get(b"filename", b"").decode("utf-8", "replace"))

    def _on_headers_finished(self) -> None:
        if self._name is None:
            raise malformed_form()
        if self._name in self.form.fields or (self._name == BLUEPRINT and self.form.has_blueprint):
            raise Problem(422, "invalid-request", f"The field '{self._name[:80]}' occurs twice. Send it once.")
        if len(self.form.fields) >= MAX_FIELDS:
            raise Problem(422, "invalid-request", f"The form has more than {MAX_FIELDS} fields.")
        self.form.has_blueprint |= self._name == BLUEPRINT

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == BLUEPRINT:
            self._blueprint_pieces.append(memoryview(data)[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > MAX_FIELD_BYTES:
            raise Problem(422, "invalid-request", f"The field '{self._name}' is longer than {MAX_FIELD_BYTES} bytes.")

    def _on_part_end(self) -> None:
        if self._name is not None and self._name != BLUEPRINT:
            self.form.fields[self._name] = self._value.decode("utf-8", "replace")

    def _on_end(self) -> None:
        self._ended = True


def boundary_of(content_type: str) -> bytes:
    """The boundary in a Content-Type header. Raises a 400 problem."""
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not 0 < len(boundary) <= 70:  # RFC 2046, section 5.1.1
        raise malformed_form()
    return boundary


def clean_filename(name: str) -> str:
    """The user's name of the blueprint, without folders and control characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(sign for sign in unicodedata.normalize("NFC", last) if unicodedata.category(sign)[0] != "C")
    return shown.strip()[:MAX_FILENAME]


def malformed_form() -> Problem:
    return Problem(400, "malformed-form", "The form is truncated or not valid multipart/form-data. Send it again.")
