"""Text from drawings is untrusted and may have any length; reported text is kept short."""

from pathlib import Path

from ezdxf.filemanagement import new

from tests.engine.conftest import Render
from tests.engine.drawings import save
from workers.render.text import MAX_LENGTH, truncate_middle


def test_given_a_short_text_when_shortened_then_it_stays() -> None:
    assert truncate_middle("a" * MAX_LENGTH) == "a" * MAX_LENGTH


def test_given_a_long_text_when_shortened_then_its_beginning_and_its_end_stay() -> None:
    short = truncate_middle("broken: " + "9" * 10**6 + " Save it again.")

    assert len(short) == MAX_LENGTH
    assert short.startswith("broken: 9")
    assert short.endswith(" Save it again.")


def test_given_a_layer_with_a_very_long_name_when_rendered_then_manifest_and_progress_truncate_it(
    tmp_path: Path, draw: Render
) -> None:
    document = new()
    document.modelspace().add_line((0, 0), (9, 9), {"layer": "L" * 100_000})
    path = tmp_path / "a.dxf"

    manifest = draw(save(document, path))

    assert [len(layer.name) for layer in manifest.layers if not layer.empty] == [MAX_LENGTH]
