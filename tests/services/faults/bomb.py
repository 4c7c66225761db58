"""A job that takes more memory than any fence allows.

A worker serves it with `--include tests.services.faults.bomb`."""

import time
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from tasks import app, renders
from tasks.jobs import Job, State
from tasks.messaging.publisher import Publisher
from workers.runtime.context import bench
from workers.runtime.job_run import Done, Running, attempt
from workers.runtime.message_validation import MESSAGES
from workers.runtime.request import FencedTask

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


MESSAGES[TASK] = BombMessage


@app.task(name=TASK, base=FencedTask)
def bomb(job: str) -> None:
    """One attempt, claimed from the ledger as every render is."""
    now = time.time()
    attempt(bench(), Job(job, TENANT, State.QUEUED, f"sources/{TENANT}/{job}", "bomb.dxf", {}, now, now), _explode)


def _explode(running: Running) -> Done:
    running.note_plan(digest="0" * 64, size=1, plan={"peak_bytes": PLANNED})
    running.progress(60, "encode", "PIPES")
    held = []
    while True:
        held.append(bytearray(b"x") * BITE)
        time.sleep(PAUSE)


def publish(publisher: Publisher) -> str:
    """Ask for one; answers its job's id."""
    job = str(uuid4())
    publisher.publish(TASK, job, {"job": job})
    return job
