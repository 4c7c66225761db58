"""The message that requests a job of the ledger."""

from tasks.jobs.model import Job
from tasks.renders import RenderMessage, RenderOptions


def render_message(job: Job) -> RenderMessage:
    """The message that requests a job of the ledger again."""
    return RenderMessage(
        job=job.id,
        tenant=job.tenant,
        source=job.source,
        filename=job.filename,
        options=RenderOptions.model_validate(job.options),
        traceparent=job.traceparent,
        webhook=job.webhook,
    )
