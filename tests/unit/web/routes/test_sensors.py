"""Readings over HTTP while Redis is unavailable."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.web.support import PLANT_TOKENS, TestClient
from web.app import create_app
from web.dependencies import Services
from web.readings.redis_readings import ReadingsUnavailable


class UnavailableReadings:
    """Readings whose Redis does not answer."""

    def __getattr__(self, _name: str) -> Any:
        async def call(*_args: object) -> None:
            raise ReadingsUnavailable

        return call


@pytest.mark.parametrize("path", ["/sensors?plant=ulm", "/sensors/events?plant=ulm", "/sensors/ulm/press-1"])
def test_given_an_unavailable_redis_when_readings_are_requested_then_503(services: Services, path: str) -> None:
    app = create_app(services=replace(services, readings=UnavailableReadings()))  # type: ignore[arg-type]
    token = next(token for token, plant in PLANT_TOKENS.items() if plant == "ulm")
    with TestClient(app, headers={"authorization": f"Bearer {token}"}) as client:
        answer = client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (503, "redis-unavailable")
    assert answer.headers["retry-after"] == "2"
