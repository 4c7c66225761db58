"""`python -m web`: serve the HTTP API with uvicorn."""

from __future__ import annotations

import os

import uvicorn

from tasks.observability.logs import logging_config
from tasks.settings import settings
from web.multiprocess_metrics import shared_directory

METRICS_DIRECTORY = "metrics"  # below BULKHEAD_VAR
SHUTDOWN_TIMEOUT = 5  # seconds that open requests and event streams have to finish


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    config = settings()
    with shared_directory(config.var / METRICS_DIRECTORY) as shared:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(shared)  # read by prometheus_client when a process imports it
        uvicorn.run(
            "web.server_process:create",
            factory=True,
            host=config.host,
            port=config.port,
            workers=config.web_processes,
            access_log=False,
            log_config=logging_config(config.log_format),
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN_TIMEOUT,
        )


if __name__ == "__main__":
    main()
