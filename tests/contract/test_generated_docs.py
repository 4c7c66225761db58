"""The committed reference pages say what the models say."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.contract.scripts import load

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "docs/generate.py"


def test_given_the_generated_pages_then_the_committed_ones_are_the_same() -> None:
    made = load(SCRIPT).build_pages()
    pages = {"settings.md", "http.md", "schemas/render.json", "schemas/progress.json", "schemas/manifest.json"}
    assert {f"reference/{page}" for page in pages} <= set(made)
    for name, text in made.items():
        assert (ROOT / "docs" / name).read_text() == text, "Run `make docs` and commit the result."


def test_when_checked_in_another_process_then_hash_order_and_environment_make_no_difference() -> None:
    result = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONHASHSEED": "7", "BULKHEAD_PORT": "9999", "PATH": ""},
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_given_a_stale_page_when_checked_then_it_is_named_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load(SCRIPT)
    monkeypatch.setattr(module, "HERE", tmp_path)
    assert module.main([]) == 0
    assert module.main(["--check"]) == 0
    (tmp_path / "reference/settings.md").write_text("# Settings\n")
    assert module.main(["--check"]) == 1
    assert capsys.readouterr().err == (
        "docs/reference/settings.md differs from the models. Run `make docs` and commit the result.\n"
    )


def test_given_the_message_in_the_docs_then_it_fits_its_schema() -> None:
    schema = json.loads((ROOT / "docs/reference/schemas/render.json").read_text())
    _before, _fence, rest = (ROOT / "docs/reference/messages.md").read_text().partition("```json\n")
    _args, message, _embed = json.loads(rest.partition("```")[0])
    jsonschema.validate(message, schema, cls=jsonschema.Draft202012Validator)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**message, "priority": 1}, schema, cls=jsonschema.Draft202012Validator)


def test_given_every_setting_then_it_is_explained() -> None:
    from tasks.settings import Settings

    page = (ROOT / "docs/reference/settings.md").read_text()
    for name, field in Settings.model_fields.items():
        assert f"`BULKHEAD_{name.upper()}`" in page
        assert field.description, name
