"""A job with a given outcome. Workers run it with `--include tests.services.faults.unlucky`."""

import time
from typing import Literal
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from tasks import app, renders
from tasks.jobs import Job, State
from tasks.messaging.publisher import Publisher
from workers.runtime.attempt import JobRun, Requeue, Result
from workers.runtime.extensions.message_validation import MESSAGE_SCHEMAS
from workers.runtime.extensions.request import JobTask
from workers.runtime.job_run import run_job
from workers.runtime.worker_context import worker_context

TASK = "render.unlucky"
TENANT = "local"

Outcome = Literal["error", "requeue", "slow"]


class UnluckyMessage(BaseModel):
    """The job and its outcome."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    job: renders.JobId
    outcome: Outcome


MESSAGE_SCHEMAS[TASK] = UnluckyMessage


@app.task(name=TASK, base=JobTask)
def unlucky(job: str, outcome: Outcome) -> None:
    """One attempt, claimed from the ledger like a render."""

    def work(run: JobRun) -> Result:
        run.report_progress(10, "draw", "PIPES")
        if outcome == "slow":
            time.sleep(300)
        if outcome == "requeue":
            raise Requeue("no-luck", "This worker has no luck.")
        raise KeyError("luck")

    now = time.time()
    source = f"sources/{TENANT}/{job}"
    run_job(worker_context(), Job(job, TENANT, State.QUEUED, source, "unlucky.dxf", {}, now, now), work)


def publish(publisher: Publisher, outcome: Outcome) -> str:
    """Publish one. Returns the id of its job."""
    job = str(uuid4())
    publisher.publish(TASK, job, {"job": job, "outcome": outcome})
    return job
