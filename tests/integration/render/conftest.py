"""A zygote with the engine for each module of tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.render.sandbox import RenderSandbox, render_sandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RenderSandbox]:
    """Renders as workers do."""
    with render_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """An empty working directory."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder
