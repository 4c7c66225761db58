"""Readings of machines over HTTP, where Redis is away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.web.support import PLANT_TOKENS, TestClient
from web.app import create_app
from web.dependencies import Services
from web.readings.redis_readings import RedisError


class Away:
    """A Redis that does not answer."""

    def __getattr__(self, _name: str) -> Any:
        async def ask(*_args: object) -> None:
            raise RedisError("refused")

        return ask


@pytest.mark.parametrize("path", ["/sensors?plant=ulm", "/sensors/events?plant=ulm", "/sensors/ulm/press-1"])
def test_given_a_redis_that_is_away_when_readings_are_asked_for_then_503_says_so(services: Services, path: str) -> None:
    app = create_app(services=replace(services, readings=Away()))  # type: ignore[arg-type]
    token = next(token for token, plant in PLANT_TOKENS.items() if plant == "ulm")
    with TestClient(app, headers={"authorization": f"Bearer {token}"}) as client:
        answer = client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (503, "redis-unavailable")
    assert answer.headers["retry-after"] == "2"
