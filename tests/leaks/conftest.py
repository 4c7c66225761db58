"""Hunts start with a clean environment."""

import os

import pytest


@pytest.fixture(autouse=True)
def _without_the_engines_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that rendered in this process has left the engine's policy in the environment, and what it would allow a
    planted job.
    """
    for name in [name for name in os.environ if name.startswith("MAGICK_")]:
        monkeypatch.delenv(name)
