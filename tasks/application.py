"""The Celery app. It registers no task: workers load tasks by name (`include`) and publishers send by name, so that
importing it is cheap.
"""

import logging
from typing import Any

from celery import Celery
from celery.signals import after_setup_logger

app = Celery("bulkhead")
app.config_from_object("tasks.celeryconfig")


@after_setup_logger.connect
def configure_logging(logger: logging.Logger, **_signal: Any) -> None:
    """Format Celery's log lines as the setting `log_format` says; the text format is Celery's own."""
    from tasks.settings import settings

    if settings().log_format == "json":
        from tasks.observability.logs import formatter

        for handler in logger.handlers:
            handler.setFormatter(formatter("json"))
