"""The Celery app. It registers no task: workers load tasks by name (`include`) and publishers send by name, so that
importing it is cheap.
"""

import logging
import sys
from typing import Any

from celery import Celery
from celery.concurrency import ALIASES
from celery.signals import after_setup_logger, celeryd_init

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


@celeryd_init.connect
def require_our_pool(instance: Any, options: dict[str, Any], **_signal: Any) -> None:
    """Refuse to start a Celery worker, `instance`, with another pool than ours. Raises SystemExit(2)."""
    from tasks.celeryconfig import worker_pool

    chosen = _import_path(options.get("pool") or options.get("pool_cls") or instance.app.conf.worker_pool)
    if instance.app.main != app.main or chosen == worker_pool:
        return
    aliases = {path: alias for alias, path in ALIASES.items() if alias != "custom"}
    reason = (
        f"The pool {aliases.get(chosen, chosen)!r} cannot run Bulkhead's jobs. A worker needs Bulkhead's prefork pool, "
        "because it runs each job in a child process with limits of its own and survives the crash of a child. "
        "Start the worker without -P (--pool). To run several jobs at once, use -c (--concurrency)."
    )
    if options.get("logfile"):  # a worker in the background has no standard error
        instance.app.log.setup(options.get("loglevel"), options["logfile"])
        logging.getLogger(__name__).critical(reason)
    else:
        sys.stderr.write(f"{reason}\n")
    raise SystemExit(2)


def _import_path(pool: Any) -> str:
    """The path `package.module:Class` of a pool that is given to Celery as a class, a path or an alias."""
    if not isinstance(pool, str):
        return f"{pool.__module__}:{pool.__qualname__}"
    return ALIASES.get(pool) or pool
