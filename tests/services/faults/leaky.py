"""A job that leaks like native code: it clones a wand and never destroys it. The same job exists without the leak.

Workers run it with `--include tests.services.faults.leaky`.
"""

import time
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from tasks import app, renders
from tasks.jobs import Job, State
from tasks.messaging.publisher import Publisher
from workers.runtime.job_run import JobRun, Result, run_job
from workers.runtime.message_validation import MESSAGE_SCHEMAS
from workers.runtime.request import JobTask
from workers.runtime.worker_context import worker_context

TASK = "render.leak"
TENANT = "local"


class LeakMessage(BaseModel):
    """If it `leaks`, it leaks a picture of `side` x `side` pixels of 8 bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    job: renders.JobId
    side: int
    leaks: bool


MESSAGE_SCHEMAS[TASK] = LeakMessage


@app.task(name=TASK, base=JobTask)
def leak(job: str, side: int, leaks: bool) -> None:
    """One attempt, claimed from the ledger like a render."""

    def work(_run: JobRun) -> Result:
        paint(side, leaks=leaks)
        return Result("0" * 64)

    now = time.time()
    source, plan = f"sources/{TENANT}/{job}", {"format": "leaky" if leaks else "clean"}
    run_job(worker_context(), Job(job, TENANT, State.QUEUED, source, "", {}, now, now, plan=plan), work)


def paint(side: int, *, leaks: bool) -> None:
    """Draw, clone, change, shrink and encode a picture. The clone is destroyed unless it `leaks`."""
    from wand.api import library
    from wand.image import Image

    with Image(width=side, height=side, background="white") as picture:
        clone = library.CloneMagickWand(picture.wand)
        picture.evaluate("multiply", 0.5)  # both share their pixels until one is changed
        picture.sample(64, 64)
        picture.make_blob("png")
        if not leaks:
            library.DestroyMagickWand(clone)


def publish(publisher: Publisher, *, side: int, leaks: bool) -> str:
    """Publish one. Returns the id of its job."""
    job = str(uuid4())
    publisher.publish(TASK, job, LeakMessage(job=job, side=side, leaks=leaks).model_dump())
    return job
