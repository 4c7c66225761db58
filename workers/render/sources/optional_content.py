"""Layers of a PDF (ISO 32000-1, 8.11): which there are, and the same document with other ones switched on.

pdfium obeys a document's default configuration and lets nobody change it, so the configuration is rewritten.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import pikepdf

# Layers that are told apart; a page with more of them is drawn as one.
MAX_GROUPS = 256

# What pikepdf raises on a document that is not what it says it is.
DAMAGE_ERRORS = (pikepdf.PdfError, ValueError, TypeError, AttributeError, KeyError, RuntimeError)


@dataclass(frozen=True)
class OptionalContentGroup:
    """A layer: the number of its object, its name, and whether it is on by default."""

    object_id: tuple[int, int]
    name: str
    visible: bool


def read_groups(content: bytes) -> list[OptionalContentGroup]:
    """Layers of the document in its own order; none where it has none, or is too damaged to tell."""
    try:
        with pikepdf.open(io.BytesIO(content)) as document:
            return _groups(document)
    except DAMAGE_ERRORS:
        return []


def with_visible_groups(content: bytes, visible: Sequence[OptionalContentGroup]) -> bytes:
    """The document with those layers on and all others off. Costs the file's bytes twice."""
    wanted = {group.object_id for group in visible}
    with pikepdf.open(io.BytesIO(content)) as document:
        properties = document.Root.OCProperties
        groups = list(properties.OCGs)
        properties.D = pikepdf.Dictionary(
            BaseState=pikepdf.Name.OFF,
            ON=pikepdf.Array([group for group in groups if group.objgen in wanted]),
            OFF=pikepdf.Array([group for group in groups if group.objgen not in wanted]),
        )
        written = io.BytesIO()
        document.save(written)
    return written.getvalue()


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
