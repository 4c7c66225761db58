"""Named sets of render options (`BULKHEAD_PRESETS`). Publishers expand them, so messages contain plain options."""

from collections.abc import Mapping
from typing import Any

from tasks.errors import InvalidInput

Presets = Mapping[str, Mapping[str, Any]]


class UnknownPreset(InvalidInput):
    """There is no preset with this name."""

    code = "unknown-preset"


def expand_preset(presets: Presets, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the preset `name`, overridden by `options`. An empty name means no preset.

    Raises UnknownPreset.
    """
    if not name:
        return dict(options)
    if name not in presets:
        known = ", ".join(sorted(presets)) or "none are set in BULKHEAD_PRESETS"
        raise UnknownPreset(f"There is no preset {name!r}. Known: {known}.")
    return {**presets[name], **options}
