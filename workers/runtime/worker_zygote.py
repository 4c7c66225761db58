"""The zygote of this worker: started by Celery's parent, shared by its children, replaced when it dies."""

import os
import shlex
from dataclasses import replace
from functools import cache
from typing import Any

from celery.signals import celeryd_after_setup
from celery.utils.log import get_logger

from tasks.messaging.topology import RENDER_QUEUES
from tasks.settings import settings
from workers.sandbox.leaf_cgroup import delegate_cgroup
from workers.sandbox.zygote import Zygote, ZygoteOptions

logger = get_logger(__name__)

# Seconds before a zygote that died is replaced, should it die again and again.
RESTART_DELAY = 0.5

_options = ZygoteOptions()


def extend_zygote(*preload: str, rehearse: str = "") -> None:
    """Have the zygote load more, as in ZygoteOptions. For modules of tasks, when they are imported."""
    global _options
    _options = replace(_options, preload=(*_options.preload, *preload), rehearse=rehearse or _options.rehearse)


@cache
def worker_zygote() -> Zygote:
    """The zygote of this process and of all processes that it forks from now on."""
    interpreter = tuple(shlex.split(settings().sandbox_interpreter))
    if interpreter:
        logger.warning("Renders run under %s, which may read and keep what they draw.", interpreter[0])
    return Zygote(replace(_options, interpreter=interpreter))


@celeryd_after_setup.connect
def start_zygote(instance: Any, **_signal: Any) -> None:
    """Start the zygote of a worker that consumes renders, while Celery connects to the broker."""
    delegate_cgroup()
    zygote = worker_zygote()
    if set(instance.app.amqp.queues.consume_from) & set(RENDER_QUEUES):
        zygote.start()


def keep_running(hub: Any) -> None:
    """Replace the zygote when it ends. `hub` is Celery's event loop; None in pools without one."""
    zygote = worker_zygote()
    if hub is None or zygote.pid is None:
        return
    zygote.start()
    descriptor = os.pidfd_open(zygote.pid)

    def restart() -> None:
        hub.remove_reader(descriptor)
        os.close(descriptor)
        logger.error("The zygote %d ended. Its renders are repeated by a new one.", zygote.pid)
        hub.call_later(RESTART_DELAY, lambda: keep_running(hub))

    hub.add_reader(descriptor, restart)
