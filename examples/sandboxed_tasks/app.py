"""A Celery app like any other. It has the secrets; the functions that it runs have not.

    FILES=/srv/files BROKER_URL=amqp://… celery -A examples.sandboxed_tasks.app worker

The sandbox does not import this module, because each task names a function of a module without Celery, or a program.
"""

import os
from pathlib import Path
from typing import Any

from celery import Celery

from workers.sandbox.task import SandboxedProcessInterrupted, SandboxedTask

FOLDER = Path(__file__).parent
FILES = os.environ.get("FILES", "var/files")

app = Celery("sandboxed", broker=os.environ.get("BROKER_URL", "amqp://"), backend="rpc://")
app.conf.worker_prefetch_multiplier = 1


@app.task(
    base=SandboxedTask,
    function="examples.sandboxed_tasks.probe:identify",
    memory="256M",
    cpu=10,
    sources=["path"],
    sources_in=FILES,
    autoretry_for=(SandboxedProcessInterrupted,),
    max_retries=3,
)
def identify(path: str) -> Any:
    """What kind of file `path` is, as libmagic sees it."""


@app.task(
    base=SandboxedTask,
    function="examples.sandboxed_tasks.probe:first_pixel",
    memory="256M",
    cpu=10,
    sources=["path"],
    sources_in=FILES,
)
def first_pixel(path: str) -> Any:
    """The first pixel of a BMP file. The decoder trusts the file, so that a crafted one crashes it."""


@app.task(
    base=SandboxedTask,
    command=["php", str(FOLDER / "thumbnail.php"), "{path}", "{width}"],
    memory="256M",
    cpu=30,
    sources=["path"],
    sources_in=FILES,
    read=["/etc/php", FOLDER / "thumbnail.php"],
    outputs=f"{FILES}/thumbnails",
)
def thumbnail(path: str, width: int = 128) -> Any:
    """Scale a picture with PHP, into `thumbnail.png`. The result is what the script prints, JSON."""
