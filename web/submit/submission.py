"""Accepts a render: plans it, stores its source, records the job and publishes it with a confirm.

Synchronous, so that one call in a thread does all of it.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace

from tasks.jobs import Job, LedgerError, State
from tasks.jobs.idempotency import Completed, InProgress, Reserved
from tasks.jobs.routing import choose_queue, largest_memory_limit
from tasks.messaging.connections import BrokerUnavailable, PublishError, QueueFull
from tasks.observability.logs import log_context
from tasks.observability.tracing import span
from tasks.plan import Plan, PlanError, check_memory_limit, plan
from tasks.renders import TASK, RenderMessage, artifact_key, artifact_prefix
from tasks.storage import MANIFEST, StoreError
from tasks.utils.units import format_bytes
from web.dependencies import Services
from web.problems import Problem, from_error
from web.submit.fairness import admit
from web.submit.idempotency import key_reused, request_in_progress
from web.submit.uploads import ParsedRequest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Submission:
    """A request for a render with its tenant and idempotency key."""

    job: str
    tenant: str
    request: ParsedRequest
    idempotency_key: str | None = None
    traceparent: str | None = None


def submit(services: Services, submission: Submission) -> Job:
    """Accept a render durably. If its outputs already exist, the job has succeeded at once.

    Raises problems, StoreError, LedgerError and BrokerUnavailable; nothing of the submission remains then.
    """
    job = submission.job
    with span("submit", submission.traceparent, job=job) as traceparent, log_context(job=job, traceparent=traceparent):
        return _submit(services, replace(submission, traceparent=traceparent))


def _submit(services: Services, submission: Submission) -> Job:
    """`submit` inside its tracing span."""
    try:
        services.admission.check_broker()  # the broker may have failed while this call waited for its thread
        submission.request.flush()
        if submission.idempotency_key is None:
            return create(services, submission)
        return create_idempotent(services, submission, submission.idempotency_key)
    finally:
        submission.request.discard()


def create_idempotent(services: Services, submission: Submission, key: str) -> Job:
    """Create the job, or return that of a previous request with the same key.

    Raises a 409 problem while the previous request is in progress: its job is not durable before the broker confirms.
    """
    keys, tenant, fingerprint = services.ledger.idempotency_keys, submission.tenant, submission.request.fingerprint
    match keys.reserve(tenant, key, services.clock()):
        case InProgress():
            raise request_in_progress()
        case Completed() as previous:
            return existing_job(services, tenant, previous, fingerprint)
        case Reserved():
            pass
    try:
        job = create(services, submission)
        keys.complete(tenant, key, job=job.id, fingerprint=fingerprint)
    except BaseException:
        with suppress(LedgerError):
            keys.release(tenant, key)
        raise
    return job


def existing_job(services: Services, tenant: str, previous: Completed, fingerprint: str) -> Job:
    """The job of a previous request. Raises a 422 problem if that request had different content."""
    if fingerprint != previous.fingerprint:
        raise key_reused()
    job = services.ledger.jobs.find(previous.job, tenant)
    if job is None:
        raise request_in_progress()  # it is being removed, and its key with it
    return job


def create(services: Services, submission: Submission) -> Job:
    """Plan the drawing, store it, record the job and publish it."""
    request = submission.request
    estimate = plan_render(services, request)
    job = build_job(services, submission, estimate)
    if job.state is not State.SUCCEEDED:
        check_free_space(services)
        job = admit(services, job)
    if request.writer:
        request.writer.commit()
    try:
        services.ledger.jobs.accept(job)
    except Exception:
        delete_source(services, submission)
        raise
    match job.state:
        case State.SUCCEEDED:
            services.metrics.submissions.labels("reused").inc()
        case State.ACCEPTED:
            services.metrics.submissions.labels("deferred").inc()
        case _:
            publish_job(services, submission, job)
    return job


def check_free_space(services: Services) -> None:
    """Raise a 507 problem if the free space of the store is below the minimum that unfinished renders need."""
    free, required = services.store.free_bytes(), services.settings.store_min_free
    if free is not None and free < required:
        services.metrics.submissions.labels("store-full").inc()
        detail = (
            f"The store has only {format_bytes(free)} of free space; {format_bytes(required)} are reserved for open "
            "renders. Remove renders that are no longer needed, or enlarge the disk."
        )
        raise Problem(507, "store-full", detail)


def plan_render(services: Services, request: ParsedRequest) -> Plan:
    """Plan the drawing. Raises a 413 or 422 problem if it cannot be rendered within the memory limit."""
    source = nullcontext(request.writer.path) if request.writer else services.store.as_file(request.source)
    estimate = None
    try:
        with source as path:
            estimate = plan(
                path,
                request.filename,
                width=request.options.width,
                tiles=request.options.tiles,
                page=request.options.page,
            )
        check_memory_limit(estimate, largest_memory_limit(services.settings))
    except PlanError as error:
        services.metrics.submissions.labels("rejected").inc()
        raise from_error(error, **({"plan": estimate.as_dict()} if estimate else {})) from error
    return estimate


def build_job(services: Services, submission: Submission, estimate: Plan) -> Job:
    """The job to record: succeeded if its artifacts already exist, otherwise queued.

    It is recorded as queued just before it is published, which saves a transaction. If the process dies in between,
    the client has no response yet, and maintenance publishes the job because its message is missing.
    """
    request, digest = submission.request, submission.request.digest
    now = services.clock()
    artifact = None
    if digest:
        secret = services.settings.artifact_secret.get_secret_value()
        artifact = artifact_key(secret, submission.tenant, digest, request.options)
        if not services.store.exists(f"{artifact_prefix(submission.tenant, artifact)}/{MANIFEST}"):
            artifact = None
    return Job(
        id=submission.job,
        tenant=submission.tenant,
        state=State.SUCCEEDED if artifact else State.QUEUED,
        source=request.source,
        filename=request.filename,
        options=request.options.model_dump(),
        created_at=now,
        updated_at=now,
        finished_at=now if artifact else None,
        digest=digest,
        size=estimate.size,
        plan=estimate.as_dict(),
        artifact=artifact,
        traceparent=submission.traceparent,
        published_at=None if artifact else now,
        publications=0 if artifact else 1,
        queue=choose_queue(request.options, estimate.peak_bytes, services.settings),
        webhook=request.webhook,
        webhook_pending=request.webhook is not None,
    )


def publish_job(services: Services, submission: Submission, job: Job) -> None:
    """Publish a recorded job. If the broker does not confirm it, cancel the job and raise."""
    request = submission.request
    message = RenderMessage(
        job=job.id,
        tenant=job.tenant,
        source=request.source,
        filename=request.filename,
        options=request.options,
        traceparent=submission.traceparent,
        webhook=request.webhook,
    )
    try:
        services.publisher.publish(TASK, job.id, message.model_dump(mode="json"), queue=job.queue)
    except PublishError as error:
        if cancel_unconfirmed(services, submission, error):
            raise (services.admission.queue_full(job.queue) if isinstance(error, QueueFull) else error) from error
    services.admission.record_admitted(job.queue)
    services.metrics.submissions.labels("accepted").inc()


def cancel_unconfirmed(services: Services, submission: Submission, error: PublishError) -> bool:
    """Cancel a job that may not have been published. Returns False if a worker has finished it nevertheless."""
    services.metrics.submissions.labels(error.code).inc()
    if isinstance(error, BrokerUnavailable):
        services.admission.mark_broker_down()
    reason = {"code": error.code, "detail": "The broker did not confirm the job."}
    try:
        if not services.ledger.jobs.cancel(submission.job, services.clock(), error=reason):
            return False
    except LedgerError:
        logger.warning("Job %s was rejected but could not be cancelled in the ledger: it will run", submission.job)
        return True
    delete_source(services, submission)
    return True


def delete_source(services: Services, submission: Submission) -> None:
    """Delete the uploaded drawing of a rejected request."""
    if submission.request.writer is None:
        return
    try:
        services.store.delete(submission.request.source)
    except StoreError:
        logger.warning("Cannot delete the source %s of a rejected job from the store", submission.request.source)
