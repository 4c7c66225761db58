"""Presets: named sets of options."""

import pytest

from tasks.presets import UnknownPreset, expand_preset
from tasks.settings import Settings

PRESETS = {"poster": {"width": 8192, "background": "dark"}}


def test_given_a_preset_when_expanded_then_given_options_override_it() -> None:
    assert expand_preset(PRESETS, "poster", {"width": 4096}) == {"width": 4096, "background": "dark"}
    assert expand_preset(PRESETS, "", {"width": 4096}) == {"width": 4096}


def test_given_an_unknown_preset_when_expanded_then_the_error_lists_the_known_ones() -> None:
    with pytest.raises(UnknownPreset) as caught:
        expand_preset(PRESETS, "card", {})
    assert str(caught.value) == "There is no preset 'card'. Choose one of: poster."

    with pytest.raises(UnknownPreset, match="BULKHEAD_PRESETS defines none"):
        expand_preset({}, "card", {})


def test_given_presets_in_the_environment_when_read_then_they_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULKHEAD_PRESETS", '{"poster": {"width": 8192, "tiles": true}}')
    assert Settings().presets == {"poster": {"width": 8192, "tiles": True}}

    monkeypatch.setenv("BULKHEAD_PRESETS", "poster")
    with pytest.raises(ValueError, match="write it as JSON"):
        Settings()
