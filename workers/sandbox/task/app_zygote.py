"""The zygote of a Celery app's sandboxed tasks: started by the worker's parent process and shared by its children.

It belongs to the process that calls a task where that is not possible: in a worker with the solo pool or without an
event loop, and outside of workers.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celery.concurrency.prefork import TaskPool as Prefork
from celery.concurrency.solo import TaskPool as Solo
from celery.signals import celeryd_after_setup, worker_ready

from workers.sandbox.confinement import controls_to_leave_out
from workers.sandbox.function_call import REHEARSE
from workers.sandbox.leaf_cgroup import delegate_cgroup
from workers.sandbox.zygote import Zygote, ZygoteOptions
from workers.sandbox.zygote.keeper import ZygoteKeeper

# A worker on a system without a control refuses sandboxed tasks, unless this variable says otherwise.
POLICY_VARIABLE, BEST_EFFORT = "BULKHEAD_SANDBOX", "best-effort"


@dataclass(slots=True)
class _Shared:
    """The zygote of this process and of those that it has forked."""

    zygote: Zygote | None = None


_shared = _Shared()


def app_zygote(app: Any) -> Zygote:
    """The zygote that this process can use, with the functions of an app's tasks. Raises SandboxUnavailable."""
    zygote = _shared.zygote
    if zygote is None or (not zygote.is_ours and zygote.pid is None):
        required = os.environ.get(POLICY_VARIABLE) != BEST_EFFORT
        tasks = sandboxed_tasks(app)
        modules = [task.__module__ for task in tasks]
        zygote = _shared.zygote = Zygote(
            ZygoteOptions(
                functions=tuple(task.sandboxed_function for task in tasks if task.sandboxed_function),
                import_paths=tuple(dict.fromkeys(filter(None, map(import_path, modules)))),
                rehearse=REHEARSE,
                without=frozenset(controls_to_leave_out(required=required)),
            )
        )
    return zygote


def import_path(name: str) -> Path | None:
    """The directory from which a loaded module was imported; None if it is not known.

    Celery finds modules in its working directory, which is not on the module search path.
    """
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None:
        return None
    path, depth = Path(file).resolve(), name.count(".")
    return path.parents[depth + 1] if path.stem == "__init__" else path.parents[depth]


def sandboxed_tasks(app: Any) -> list[Any]:
    """The sandboxed tasks of an app."""
    return [task for task in app.tasks.values() if hasattr(task, "run_in_sandbox")]


@celeryd_after_setup.connect
def start_zygote(instance: Any, **_signal: Any) -> None:
    """Start the zygote of a worker that has sandboxed tasks. Ends a worker whose pool cannot run them."""
    if not sandboxed_tasks(instance.app):
        return
    if not issubclass(instance.pool_cls, (Prefork, Solo)):
        pool = instance.pool_cls.__module__.rpartition(".")[2]
        raise SystemExit(f"Sandboxed tasks do not run in the pool {pool}. Start the worker with --pool prefork.")
    delegate_cgroup()
    if issubclass(instance.pool_cls, Prefork) and instance.use_eventloop:
        app_zygote(instance.app).start()


@worker_ready.connect
def keep_running(sender: Any, **_signal: Any) -> None:
    """Replace the zygote of a worker when it ends. `sender` is the consumer."""
    zygote, hub = _shared.zygote, getattr(sender, "hub", None)
    if zygote is not None and zygote.is_ours and zygote.pid is not None and hub is not None:
        ZygoteKeeper(zygote, hub).watch()
