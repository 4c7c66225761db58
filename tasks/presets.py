"""Named sets of render options (`BULKHEAD_PRESETS`), expanded by who publishes: messages hold plain options."""

from collections.abc import Mapping
from typing import Any

from tasks.errors import InvalidInput

Presets = Mapping[str, Mapping[str, Any]]


class UnknownPreset(InvalidInput):
    """No preset has this name; the message lists the presets."""

    code = "unknown-preset"


def expand_preset(presets: Presets, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the preset `name`, and what is `given` beside it, which wins. An empty name is no preset.

    Raises `UnknownPreset`.
    """
    if not name:
        return dict(options)
    if name not in presets:
        known = ", ".join(sorted(presets)) or "none are set in BULKHEAD_PRESETS"
        raise UnknownPreset(f"There is no preset {name!r}. Known: {known}.")
    return {**presets[name], **options}
