"""A job that leaks like native code: it clones a wand and never destroys it. The same job exists without the leak.

Workers run it with `--include tests.services.faults.leaky`.
"""

import time
from dataclasses import replace
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from tasks import app, renders
from tasks.jobs import Job, State
from tasks.messaging.publisher import Publisher
from tests.services.faults import bodies
from workers.render.sandboxed import check_residue
from workers.runtime.attempt import JobRun, Result
from workers.runtime.extensions.message_validation import MESSAGE_SCHEMAS
from workers.runtime.extensions.request import JobTask
from workers.runtime.job_run import run_job
from workers.runtime.leak_sampling import sample_leaks
from workers.runtime.worker_context import worker_context
from workers.runtime.worker_zygote import extend_zygote
from workers.sandbox.runner import SandboxJob

TASK = "render.leak"
TENANT = "local"


class LeakMessage(BaseModel):
    """If it `leaks`, it leaks a picture of `side` x `side` pixels of 8 bytes. `sample_dies`: its sample crashes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    job: renders.JobId
    side: int
    leaks: bool
    sample_dies: bool = False


MESSAGE_SCHEMAS[TASK] = LeakMessage
extend_zygote(bodies.__name__)


@app.task(name=TASK, base=JobTask)
def leak(job: str, side: int, leaks: bool, sample_dies: bool) -> None:
    """One attempt, claimed from the ledger like a render."""

    def work(run: JobRun) -> Result:
        with run.context.work_dir() as folder:
            painting = SandboxJob(f"{bodies.__name__}:paint", {"side": side, "leaks": leaks}, work=folder)
            residue = check_residue(run.run_in_sandbox(painting).value())
            sample = "crash" if sample_dies else "sample_paint"
            leaked = sample_leaks(run, replace(painting, entry=f"{bodies.__name__}:{sample}"))
            run.usage.set_residue({**residue, **leaked})
        return Result("0" * 64)

    now = time.time()
    source, plan = f"sources/{TENANT}/{job}", {"format": "leaky" if leaks else "clean"}
    run_job(worker_context(), Job(job, TENANT, State.QUEUED, source, "", {}, now, now, plan=plan), work)


def publish(publisher: Publisher, *, side: int, leaks: bool, sample_dies: bool = False) -> str:
    """Publish one. Returns the id of its job."""
    job = str(uuid4())
    message = LeakMessage(job=job, side=side, leaks=leaks, sample_dies=sample_dies)
    publisher.publish(TASK, job, message.model_dump())
    return job
