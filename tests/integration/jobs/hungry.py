"""An engine that needs as much memory as the name of its blueprint says, for a worker that is started with
`-I tests.integration.jobs.hungry`: `needs 900 MiB.dxf` is out of memory in every fence that is smaller.
"""

import re
from pathlib import Path
from typing import Any

from celery import current_task

from tasks.jobs.routing import memory_limit_of
from tasks.settings import settings
from tasks.utils.units import MIB
from workers.render import render
from workers.render import task as blueprint


def hungry(source: Path, out: Path, options: Any, **more: Any) -> Any:
    """Render, unless the fence of this worker's lane is too small."""
    request = current_task.request
    needs = re.search(r"needs (\d+) MiB", request.kwargs["filename"])
    if needs and int(needs[1]) * MIB > memory_limit_of(request.delivery_info["routing_key"], settings()):
        raise MemoryError(needs[0])
    return render(source, out, options, **more)


blueprint.render = hungry  # type: ignore[attr-defined]  # no part of that module's own
