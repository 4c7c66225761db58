"""Settings: logs and traces."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings


class ObservabilitySettings(BaseSettings):
    """Logs and traces"""

    log_format: Literal["text", "json"] = Field(
        "text", description="Format of log lines: `text`, or `json` with the fields job, attempt and trace."
    )
    otlp_url: str = Field(
        "",
        description="OpenTelemetry collector that receives the spans of requests and attempts, as OTLP over HTTP: "
        "`http://127.0.0.1:4318` (extra `bulkhead[otel]`). Unset: no spans are recorded.",
    )
