"""A zygote for each module of tests."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.unit.workers.sandbox.support import OPTIONS, Sandbox, wait_until
from workers.sandbox.zygote import Zygote


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    """A zygote that has loaded the bodies."""
    zygote = Zygote(OPTIONS)
    zygote.start()
    yield zygote
    zygote.close()


@pytest.fixture
def sandbox(zygote: Zygote, tmp_path: Path) -> Iterator[Sandbox]:
    """Runs bodies. At the end of each test, no process may remain but the zygote."""
    work = tmp_path / "work"
    work.mkdir()
    yield Sandbox(zygote, work)
    wait_until(lambda: zygote.pid is None or not psutil.Process(zygote.pid).children())
