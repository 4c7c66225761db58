"""Celery tasks whose functions run in the sandbox.

    from workers.sandbox.task import SandboxedTask

    @app.task(base=SandboxedTask, memory="512M", cpu=60, sources=["path"])
    def probe(path: str) -> dict[str, int]: ...

It works in any Celery app and needs no setting of Bulkhead. See docs/guides/sandboxed-tasks.md.
"""

from workers.sandbox.errors import SandboxUnavailable
from workers.sandbox.task.base import SandboxedTask
from workers.sandbox.task.errors import SandboxedProcessDied, SandboxedProcessInterrupted, SandboxedTaskError

__all__ = [
    "SandboxUnavailable",
    "SandboxedProcessDied",
    "SandboxedProcessInterrupted",
    "SandboxedTask",
    "SandboxedTaskError",
]
