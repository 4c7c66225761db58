"""A job that takes more memory than any fence allows.

A worker serves it with `--include tests.services.faults.bomb`."""

import time
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from tasks import app, renders
from tasks.jobs import Job, State
from tasks.messaging.publisher import Publisher
from workers.runtime.context import worker_context
from workers.runtime.job_run import JobRun, Result, run_job
from workers.runtime.message_validation import MESSAGE_SCHEMAS
from workers.runtime.request import JobTask

TASK = "render.bomb"
TENANT = "local"

MIB = 1024**2

# What its plan promises, in bytes, and how it goes on from there: so much at once, so often (seconds).
PLANNED = 120 * MIB
BITE = 4 * MIB
PAUSE = 0.01


class BombMessage(BaseModel):
    """Which job."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    job: renders.JobId


MESSAGE_SCHEMAS[TASK] = BombMessage


@app.task(name=TASK, base=JobTask)
def bomb(job: str) -> None:
    """One attempt, claimed from the ledger as every render is."""
    now = time.time()
    run_job(
        worker_context(), Job(job, TENANT, State.QUEUED, f"sources/{TENANT}/{job}", "bomb.dxf", {}, now, now), _explode
    )


def _explode(running: JobRun) -> Result:
    running.record_plan(digest="0" * 64, size=1, plan={"peak_bytes": PLANNED})
    running.report_progress(60, "encode", "PIPES")
    held = []
    while True:
        held.append(bytearray(b"x") * BITE)
        time.sleep(PAUSE)


def publish(publisher: Publisher) -> str:
    """Ask for one; answers its job's id."""
    job = str(uuid4())
    publisher.publish(TASK, job, {"job": job})
    return job
