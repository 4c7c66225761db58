"""Fixtures of worker tests."""

from collections.abc import Iterator

import pytest

from tests.integration.jobs.renders import Renders
from tests.services.platform import Platform


@pytest.fixture
def sent(platform: Platform) -> Iterator[Renders]:
    """Sends renders to the platform of the test and observes their results."""
    sent = Renders(platform)
    yield sent
    sent.close()
