"""Starlette routes without FastAPI's dependency injection and validation."""

from __future__ import annotations

from starlette.routing import Match, Route
from starlette.types import Scope


class PlainRoute(Route):
    """A route that is faster than FastAPI's, and that the metrics can name like FastAPI's."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        return match, {**child_scope, "route": self} if match is Match.FULL else child_scope
