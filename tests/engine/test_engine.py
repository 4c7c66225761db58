"""The engine reuses a plan and a digest that its caller computed."""

import hashlib
from pathlib import Path

import pytest

from tasks.plan import plan
from tasks.renders import RenderOptions
from workers.render import engine, render


def test_given_a_plan_and_a_digest_then_neither_is_computed_again(
    pump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = RenderOptions(width=64)
    for name in ("expected", "actual"):
        (tmp_path / name).mkdir()
    expected = render(pump, tmp_path / "expected", options)

    def fail(*_arguments: object, **_keywords: object) -> None:
        raise AssertionError("computed again")

    planned = plan(pump, width=options.width)
    monkeypatch.setattr(engine, "_plan", fail)
    monkeypatch.setattr(engine, "sha256_of", fail)
    actual = render(
        pump, tmp_path / "actual", options, plan=planned, sha256=hashlib.sha256(pump.read_bytes()).hexdigest()
    )

    assert actual == expected
