"""What is loaded where: nothing heavy below the workers, no native imaging in a worker's parent."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

IMAGING = {"wand", "pyvips", "cairocffi", "pypdfium2", "numpy", "ezdxf"}


def loaded_by(statement: str) -> set[str]:
    """Modules of a fresh interpreter after `statement`."""
    script = f"{statement}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    answer = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return set(json.loads(answer.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "statement",
    [
        "import tasks; tasks.app.conf.task_queues",
        "import tasks.messaging.publisher, tasks.messaging.progress, tasks.messaging.dead_letters",
        "import tasks.renders, tasks.plan, tasks.storage",
        "import tasks.jobs, tasks.database.migrate",
    ],
)
def test_the_contract_loads_neither_imaging_nor_an_orm(statement: str) -> None:
    loaded = loaded_by(statement)

    assert not loaded & IMAGING
    assert "sqlalchemy.orm" not in loaded
    assert "alembic" not in loaded


def test_the_app_alone_loads_no_database_at_all() -> None:
    loaded = loaded_by("import tasks; tasks.app.conf.task_queues")

    assert not loaded & {"sqlalchemy", "pymysql", "redis", "fastapi"}


def test_the_web_tier_loads_no_imaging() -> None:
    loaded = loaded_by("import web.app")

    assert not loaded & IMAGING
    assert not {name for name in loaded if name.split(".")[0] == "workers"}


WORKER = "import tasks; tasks.app.loader.import_default_modules()"
PARENT = f"{WORKER}; from celery.signals import worker_init; worker_init.send(None)"


def test_importing_the_workers_tasks_loads_no_imaging() -> None:
    loaded = loaded_by(WORKER)

    assert "workers.render.task" in loaded
    assert not loaded & IMAGING


def test_a_workers_parent_loads_no_imaging_and_starts_no_thread_when_it_starts() -> None:
    script = f"""{PARENT}
import os
assert os.listdir("/proc/self/task") == [str(os.getpid())]
mapped = open("/proc/self/maps").read()
assert not any(name in mapped for name in ("MagickWand", "libvips", "pdfium", "libcairo"))
"""
    assert not loaded_by(script) & IMAGING


def test_how_long_importing_the_contract_takes_is_reported(record_property: Callable[[str, object], None]) -> None:
    durations = []
    for _ in range(5):
        started = time.monotonic()
        assert "tasks" in loaded_by("from tasks import app")
        durations.append(time.monotonic() - started)
    idle = min(_bare_interpreter() for _ in range(3))

    report = f"import tasks: {1000 * (statistics.median(durations) - idle):.0f} ms beyond a bare interpreter"
    record_property("import_tasks", report)
    print(report)


def _bare_interpreter() -> float:
    started = time.monotonic()
    loaded_by("pass")
    return time.monotonic() - started
