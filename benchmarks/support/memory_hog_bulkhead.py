"""The job of `benchmarks.recovery` on Bulkhead's worker. It is claimed from the ledger like a render."""

import time

from pydantic import BaseModel, ConfigDict

from benchmarks.support import memory_hog
from tasks import app, renders
from tasks.jobs import Job, State
from tasks.messaging.publisher import Publisher
from workers.runtime.attempt import JobRun, Result
from workers.runtime.extensions.message_validation import MESSAGE_SCHEMAS
from workers.runtime.extensions.request import JobTask
from workers.runtime.job_run import run_job
from workers.runtime.worker_context import worker_context
from workers.runtime.worker_zygote import extend_zygote, worker_zygote
from workers.sandbox.runner import SandboxJob, run
from workers.sandbox.watch import Limits

TASK = "render.hold"

# Seconds.
NAP = 0.05
PUBLISH_TIMEOUT = 5.0

LIMITS = Limits(memory=512 * 1024**2, cpu=60)


class HoldMessage(BaseModel):
    """The job; with `seconds` it sleeps instead of being killed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    job: renders.JobId
    seconds: float = 0


MESSAGE_SCHEMAS[TASK] = HoldMessage
extend_zygote(memory_hog.__name__)


@app.task(name=TASK, base=JobTask)
def hold_task(job: str, seconds: float) -> None:
    """Run one attempt."""
    now = time.time()

    def work(running: JobRun) -> Result:
        if seconds:
            memory_hog.nap(seconds)
        else:
            _hold(running)
        return Result("0" * 64)

    run_job(worker_context(), Job(job, "local", State.QUEUED, f"sources/local/{job}", "", {}, now, now), work)


def _hold(running: JobRun) -> None:
    name = running.job.id
    arguments = {"name": name, "is_first_attempt": memory_hog.is_first_attempt(name)}
    with running.context.work_dir() as work:
        job = SandboxJob(f"{memory_hog.__name__}:{memory_hog.hold_in_sandbox.__name__}", arguments, work=work)
        run(worker_zygote(), job, LIMITS, on_progress=lambda step: memory_hog.write_event(step.stage)).value()


def publish(job: str, seconds: float = 0) -> None:
    """Publish one job with a confirm."""
    publisher = Publisher(app, PUBLISH_TIMEOUT)
    publisher.publish(TASK, job, {"job": job, "seconds": seconds})
    publisher.close()


def publish_nap(job: str) -> None:
    """Publish a job that sleeps."""
    publish(job, NAP)
