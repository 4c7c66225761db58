"""The job of `benchmarks.recovery` on Bulkhead's worker. It is claimed from the ledger like a render."""

import time

from pydantic import BaseModel, ConfigDict

from benchmarks.support.memory_hog import hold, nap
from tasks import app, renders
from tasks.jobs import Job, State
from tasks.messaging.publisher import Publisher
from workers.runtime.job_run import JobRun, Result, run_job
from workers.runtime.message_validation import MESSAGE_SCHEMAS
from workers.runtime.request import JobTask
from workers.runtime.worker_context import worker_context

TASK = "render.hold"

# Seconds.
NAP = 0.05
PUBLISH_TIMEOUT = 5.0


class HoldMessage(BaseModel):
    """The job; with `seconds` it sleeps instead of being killed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    job: renders.JobId
    seconds: float = 0


MESSAGE_SCHEMAS[TASK] = HoldMessage


@app.task(name=TASK, base=JobTask)
def hold_task(job: str, seconds: float) -> None:
    """Run one attempt."""
    now = time.time()

    def work(_running: JobRun) -> Result:
        nap(seconds) if seconds else hold(job)
        return Result("0" * 64)

    run_job(worker_context(), Job(job, "local", State.QUEUED, f"sources/local/{job}", "", {}, now, now), work)


def publish(job: str, seconds: float = 0) -> None:
    """Publish one job with a confirm."""
    publisher = Publisher(app, PUBLISH_TIMEOUT)
    publisher.publish(TASK, job, {"job": job, "seconds": seconds})
    publisher.close()


def publish_nap(job: str) -> None:
    """Publish a job that sleeps."""
    publish(job, NAP)
