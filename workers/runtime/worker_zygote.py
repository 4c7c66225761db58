"""The zygote of this worker: started by Celery's parent, shared by its children, replaced when it dies."""

import shlex
from dataclasses import replace
from functools import cache
from typing import Any

from celery.signals import celeryd_after_setup
from celery.utils.log import get_logger

from tasks.messaging.topology import RENDER_QUEUES
from tasks.settings import settings
from workers.sandbox.confinement import Control, controls_to_leave_out
from workers.sandbox.errors import SandboxUnavailable
from workers.sandbox.leaf_cgroup import delegate_cgroup
from workers.sandbox.zygote import Zygote, ZygoteOptions
from workers.sandbox.zygote.keeper import ZygoteKeeper

logger = get_logger(__name__)

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
    """Start the zygote of a worker that consumes renders, while Celery connects to the broker.

    Ends a worker that cannot confine them and must, with exit code 3.
    """
    global _options
    delegate_cgroup()
    renders = set(instance.app.amqp.queues.consume_from) & set(RENDER_QUEUES)
    if renders:
        _options = replace(_options, without=_controls_to_leave_out())
    zygote = worker_zygote()
    if renders:
        zygote.start()


def _controls_to_leave_out() -> frozenset[Control]:
    try:
        missing = controls_to_leave_out(required=settings().requires_sandbox)
    except SandboxUnavailable as error:
        logger.critical("The worker does not start, because it could not confine its renders. %s", error)
        raise SystemExit(error.exit_code) from error
    for control, reason in missing.items():
        logger.warning("Renders run without the control %s of the sandbox. %s", control, reason)
    return frozenset(missing)


def keep_running(hub: Any) -> None:
    """Replace the zygote when it ends. `hub` is Celery's event loop; None in pools without one."""
    zygote = worker_zygote()
    if hub is not None and zygote.pid is not None:
        ZygoteKeeper(zygote, hub).watch()
