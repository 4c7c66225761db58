"""The name of a tenant. A module of its own, because the render engine needs it without the settings."""

from typing import Annotated

from pydantic import StringConstraints

Tenant = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
