"""A job that exceeds any memory limit. Workers run it with `--include tests.services.faults.bomb`."""

import time
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from tasks import app, renders
from tasks.jobs import Job, State
from tasks.messaging.publisher import Publisher
from tests.services.faults import bodies
from workers.runtime.attempt import JobRun, Result
from workers.runtime.extensions.message_validation import MESSAGE_SCHEMAS
from workers.runtime.extensions.request import JobTask
from workers.runtime.job_run import run_job
from workers.runtime.worker_context import worker_context
from workers.runtime.worker_zygote import extend_zygote
from workers.sandbox.runner import SandboxJob

TASK = "render.bomb"
TENANT = "local"

# Bytes that its plan predicts.
PLANNED = 120 * 1024**2


class BombMessage(BaseModel):
    """The job."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    job: renders.JobId


MESSAGE_SCHEMAS[TASK] = BombMessage
extend_zygote(bodies.__name__)


@app.task(name=TASK, base=JobTask)
def bomb(job: str) -> None:
    """One attempt, claimed from the ledger like a render."""
    now = time.time()
    run_job(
        worker_context(), Job(job, TENANT, State.QUEUED, f"sources/{TENANT}/{job}", "bomb.dxf", {}, now, now), _explode
    )


def _explode(run: JobRun) -> Result:
    run.record_plan(digest="0" * 64, size=1, plan={"peak_bytes": PLANNED})
    with run.context.work_dir() as work:
        run.run_in_sandbox(SandboxJob(f"{bodies.__name__}:explode", {}, work=work)).value()
    return Result("0" * 64)


def publish(publisher: Publisher) -> str:
    """Publish one. Returns the id of its job."""
    job = str(uuid4())
    publisher.publish(TASK, job, {"job": job})
    return job
