"""Presets: named render options (`BULKHEAD_PRESETS`). The publisher expands them; messages hold plain options."""

from collections.abc import Mapping
from typing import Any

from tasks.errors import InvalidInput

Presets = Mapping[str, Mapping[str, Any]]


class UnknownPreset(InvalidInput):
    """There is no preset of that name."""

    code = "unknown-preset"


def expand_preset(presets: Presets, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the preset `name`, overridden by `options`. An empty name means no preset.

    Raises `UnknownPreset`, which lists the presets.
    """
    if not name:
        return dict(options)
    if name not in presets:
        choices = f"Choose one of: {', '.join(sorted(presets))}." if presets else "BULKHEAD_PRESETS defines none."
        raise UnknownPreset(f"There is no preset {name!r}. {choices}")
    return {**presets[name], **options}
