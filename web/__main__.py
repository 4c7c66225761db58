"""`python -m web`: serve the HTTP intake with uvicorn."""

from __future__ import annotations

import os

import uvicorn

from tasks.observability.logs import configuration
from tasks.settings import settings
from web.counters import shared_directory

COUNTERS = "metrics"  # below BULKHEAD_VAR
GOOD_BYE = 5  # seconds that open requests, event streams among them, have to end


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    here = settings()
    with shared_directory(here.var / COUNTERS) as shared:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(shared)  # read by prometheus_client when a process imports it
        uvicorn.run(
            "web.process:create",
            factory=True,
            host=here.host,
            port=here.port,
            workers=here.web_processes,
            access_log=False,
            log_config=configuration(here.log_format),
            server_header=False,
            timeout_graceful_shutdown=GOOD_BYE,
        )


if __name__ == "__main__":
    main()
