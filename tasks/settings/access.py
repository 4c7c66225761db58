"""Settings: tenants, tokens and links."""

from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode

from tasks.settings.types import FRAME_ANCESTOR, MIN_TOKEN_LENGTH
from tasks.utils.tenant import Tenant


class AccessSettings(BaseSettings):
    """Access"""

    artifact_secret: SecretStr = Field(
        SecretStr(""),
        description="Secret key from which the names of artifacts are derived, so that nobody can guess them. It must "
        "be the same on every host. `bulkhead up` generates one.",
    )
    link_secret: SecretStr = Field(
        SecretStr(""),
        description="Secret key that signs links to outputs. Only the web tier needs it; it must be the same on every "
        "host that serves requests. `bulkhead up` generates one.",
    )
    tokens: Annotated[dict[str, Tenant], NoDecode] = Field(
        default_factory=dict,
        description='Bearer tokens and their tenants, as JSON: `{"token": "tenant"}`. Unset: only requests from '
        "loopback are served, for the tenant `local`.",
        repr=False,
    )
    plant_tokens: Annotated[dict[str, Tenant], NoDecode] = Field(
        default_factory=dict,
        description='Bearer tokens for heartbeats and readings and their plants, as JSON: `{"token": "plant"}`. '
        "Unset: only requests from loopback are served, for any plant.",
        repr=False,
    )
    signed_link_ttl: int = Field(
        3600,
        ge=0,
        le=30 * 86_400,
        description="Minimum lifetime of signed links to outputs, in seconds; they are valid for at most twice as "
        "long. Links are signed if BULKHEAD_TOKENS and BULKHEAD_LINK_SECRET are set. 0: links are not signed and every "
        "output requires a token.",
    )
    viewer_frame_ancestors: str = Field(
        "'none'",
        pattern=rf"^('none'|{FRAME_ANCESTOR}( {FRAME_ANCESTOR})*)$",
        description="Sites that may embed the page `/viewer/` in a frame (CSP `frame-ancestors`): `'self'`, "
        "`https://portal.example.com`, or several separated by spaces.",
    )

    @field_validator("tokens", "plant_tokens")
    @classmethod
    def check_token_length(cls, tokens: dict[str, str]) -> dict[str, str]:
        """Reject tokens that could be guessed."""
        if any(len(token) < MIN_TOKEN_LENGTH for token in tokens):
            raise ValueError(
                f"a token has fewer than {MIN_TOKEN_LENGTH} characters; make one with `openssl rand -hex 24`"
            )
        return tokens
