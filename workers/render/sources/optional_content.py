"""Layers of a PDF (optional content, ISO 32000-1, 8.11): lists them, and rewrites the document to show some of them.

pdfium has no call to switch layers and obeys the document's default configuration, so that is rewritten.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import pikepdf

# A document with more layers is rendered as one layer.
MAX_GROUPS = 256

# Exceptions that pikepdf raises for a damaged document.
DAMAGE_ERRORS = (pikepdf.PdfError, ValueError, TypeError, AttributeError, KeyError, RuntimeError)


@dataclass(frozen=True)
class OptionalContentGroup:
    """A layer: the number of its PDF object, its name, and whether it is visible by default."""

    object_id: tuple[int, int]
    name: str
    visible: bool


def read_groups(content: bytes) -> list[OptionalContentGroup]:
    """Return the document's layers in its own order; empty if it has none, or is damaged."""
    try:
        with pikepdf.open(io.BytesIO(content)) as document:
            return _groups(document)
    except DAMAGE_ERRORS:
        return []


def with_visible_groups(content: bytes, visible: Sequence[OptionalContentGroup]) -> bytes:
    """Return the document with only these layers on. Takes twice the file's size in memory."""
    visible_ids = {group.object_id for group in visible}
    with pikepdf.open(io.BytesIO(content)) as document:
        properties = document.Root.OCProperties
        groups = list(properties.OCGs)
        properties.D = pikepdf.Dictionary(
            BaseState=pikepdf.Name.OFF,
            ON=pikepdf.Array([group for group in groups if group.objgen in visible_ids]),
            OFF=pikepdf.Array([group for group in groups if group.objgen not in visible_ids]),
        )
        output = io.BytesIO()
        document.save(output)
    return output.getvalue()


def _groups(document: pikepdf.Pdf) -> list[OptionalContentGroup]:
    properties = document.Root.get("/OCProperties")
    if properties is None:
        return []
    default = properties.get("/D", pikepdf.Dictionary())
    off = {group.objgen for group in default.get("/OFF", [])}
    on = {group.objgen for group in default.get("/ON", [])}
    all_off = default.get("/BaseState") == "/OFF"
    groups = [
        OptionalContentGroup(
            group.objgen, str(group.get("/Name", "")), group.objgen in on if all_off else group.objgen not in off
        )
        for group in properties.get("/OCGs", [])
    ]
    return groups if len(groups) <= MAX_GROUPS else []
