"""The manifest as a contract with viewers."""

from pathlib import Path

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from tests.engine.conftest import Render
from workers.render import Manifest


def test_given_a_manifest_when_checked_against_its_schema_then_it_is_valid(pump: Path, draw: Render) -> None:
    schema = Manifest.model_json_schema(mode="serialization")
    Draft202012Validator.check_schema(schema)

    Draft202012Validator(schema).validate(draw(pump, width=64).model_dump(mode="json"))


def test_given_a_manifest_when_written_then_keys_are_sorted_and_text_ends_in_a_newline(
    pump: Path, out: Path, draw: Render
) -> None:
    manifest = draw(pump, width=64)

    text = (out / "manifest.json").read_text(encoding="utf-8")
    assert text == manifest.to_json()
    assert text.endswith("}\n")
    assert text.index('"engine"') < text.index('"layers"') < text.index('"version"')
    assert Manifest.model_validate_json(text) == manifest
