"""What many tests of workers begin with."""

from collections.abc import Iterator

import pytest

from tests.integration.jobs.renders import Renders
from tests.services.platform import Platform


@pytest.fixture
def sent(platform: Platform) -> Iterator[Renders]:
    """Sends renders to the test's platform and watches what becomes of them."""
    sent = Renders(platform)
    yield sent
    sent.close()
