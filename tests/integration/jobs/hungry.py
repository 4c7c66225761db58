"""An engine that needs as much memory as its blueprint's name says, for workers started with the option
`-I tests.integration.jobs.hungry`: `needs 900 MiB.dxf` is out of memory under any smaller memory limit.
"""

import re
from pathlib import Path
from typing import Any

from celery import current_task

from tasks.jobs.routing import memory_limit_of
from tasks.settings import settings
from tasks.utils.units import MIB
from workers.render import render, task


def hungry(source: Path, out: Path, options: Any, **keywords: Any) -> Any:
    """Render, unless the memory limit of this worker's queue is too low."""
    request = current_task.request
    needs = re.search(r"needs (\d+) MiB", request.kwargs["filename"])
    if needs and int(needs[1]) * MIB > memory_limit_of(request.delivery_info["routing_key"], settings()):
        raise MemoryError(needs[0])
    return render(source, out, options, **keywords)


task.render = hungry  # type: ignore[attr-defined]  # not a definition of that module
