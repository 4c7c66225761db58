"""The Celery app. It registers no task itself: workers load theirs by name (`include`), publishers send by name, so
importing it loads nothing heavy.
"""

import logging
from typing import Any

from celery import Celery
from celery.signals import after_setup_logger

app = Celery("bulkhead")
app.config_from_object("tasks.celeryconfig")


@after_setup_logger.connect
def configure_logging(logger: logging.Logger, **_signal: Any) -> None:
    """Give Celery's log lines the form of the settings; the text is Celery's own."""
    from tasks.settings import settings

    if settings().log_format == "json":
        from tasks.observability.logs import formatter

        for handler in logger.handlers:
            handler.setFormatter(formatter("json"))
