"""Taking a render: plan it, make its source durable, record it, publish it with a confirm. Only then it is accepted.

Synchronous: one trip to a thread does it all.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Any

from tasks.jobs import Job, LedgerError, State
from tasks.jobs.idempotency import Completed, InProgress, Reserved
from tasks.jobs.routing import choose_queue, largest_memory_limit
from tasks.messaging.connections import BrokerUnavailable, PublishError, QueueFull
from tasks.observability.logs import log_context
from tasks.observability.tracing import span
from tasks.plan import Plan, PlanError, TooLarge, check_memory_limit, plan
from tasks.renders import TASK, RenderMessage, artifact_key, artifact_prefix
from tasks.settings import MIB
from tasks.storage import MANIFEST, StoreError
from web.dependencies import Services
from web.problems import Problem
from web.submit.fairness import admit
from web.submit.idempotency import key_reused, request_in_progress
from web.submit.uploads import ParsedRequest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Submission:
    """A request for a render, and who made it under which key."""

    job: str
    tenant: str
    request: ParsedRequest
    idempotency_key: str | None = None
    traceparent: str | None = None


def submit(house: Services, submission: Submission) -> Job:
    """Accept a render durably; a drawing that was rendered alike before has succeeded at once.

    Raises problems, StoreError, LedgerUnavailable, BrokerUnavailable; the submission left nothing behind then.
    """
    job = submission.job
    with span("submit", submission.traceparent, job=job) as traceparent, log_context(job=job, traceparent=traceparent):
        return create_or_reuse(house, replace(submission, traceparent=traceparent))


def create_or_reuse(house: Services, submission: Submission) -> Job:
    """What `submit` does, inside its span."""
    try:
        house.admission.check_broker()  # the broker may have been found away while this waited for its thread
        submission.request.flush()
        if submission.idempotency_key is None:
            return create(house, submission)
        return create_idempotent(house, submission, submission.idempotency_key)
    finally:
        submission.request.discard()


def create_idempotent(house: Services, submission: Submission, key: str) -> Job:
    """Take the render unless a former request with this key did: its job then. Raises a 409 problem while that one is
    being handled: before the broker has confirmed its job, nobody may be promised it.
    """
    requests, tenant, fingerprint = house.ledger.idempotency_keys, submission.tenant, submission.request.fingerprint
    match requests.reserve(tenant, key, house.clock()):
        case InProgress():
            raise request_in_progress()
        case Completed() as former:
            return existing_job(house, tenant, former, fingerprint)
        case Reserved():
            pass
    try:
        job = create(house, submission)
        requests.complete(tenant, key, job=job.id, fingerprint=fingerprint)
    except BaseException:
        with suppress(LedgerError):
            requests.release(tenant, key)
        raise
    return job


def existing_job(house: Services, tenant: str, former: Completed, fingerprint: str) -> Job:
    """The job of a former request. Raises a 422 problem if that one had other content."""
    if fingerprint != former.fingerprint:
        raise key_reused()
    job = house.ledger.jobs.find(former.job, tenant)
    if job is None:
        raise request_in_progress()  # it is being removed this very moment; its key will be free
    return job


def create(house: Services, submission: Submission) -> Job:
    """Plan the drawing, store it, record the job and publish it."""
    asked = submission.request
    estimate = plan_render(house, asked)
    job = build_job(house, submission, estimate)
    if job.state is not State.SUCCEEDED:
        check_free_space(house)
        job = admit(house, job)
    if asked.writer:
        asked.writer.commit()
    try:
        house.ledger.jobs.accept(job)
    except LedgerError:
        delete_source(house, submission)
        raise
    match job.state:
        case State.SUCCEEDED:
            house.metrics.submissions.labels("reused").inc()
        case State.ACCEPTED:
            house.metrics.submissions.labels("held").inc()
        case _:
            publish_job(house, submission, job)
    return job


def check_free_space(house: Services) -> None:
    """Raise a 507 problem while the store has no more room than the renders under way may need for their outputs."""
    free, reserve = house.store.free_bytes(), house.settings.store_min_free
    if free is not None and free < reserve:
        house.metrics.submissions.labels("no-room").inc()
        detail = (
            f"The store has {free // MIB:,} MiB left and keeps {reserve // MIB:,} MiB for renders under way. "
            "Remove renders that are not needed any more, or have its disk enlarged."
        )
        raise Problem(507, "store-full", detail)


def plan_render(house: Services, asked: ParsedRequest) -> Plan:
    """The plan of the drawing. Raises a 413 or 422 problem if it cannot be rendered inside the fence."""
    source = nullcontext(asked.writer.path) if asked.writer else house.store.as_file(asked.source)
    estimate = None
    try:
        with source as path:
            estimate = plan(
                path,
                asked.filename,
                width=asked.options.width,
                tiles=asked.options.tiles,
                page=asked.options.page,
            )
        check_memory_limit(estimate, largest_memory_limit(house.settings))
    except PlanError as error:
        house.metrics.submissions.labels("refused").inc()
        members: dict[str, Any] = {"plan": estimate.as_dict()} if estimate else {}
        raise Problem(413 if isinstance(error, TooLarge) else 422, error.code, str(error), **members) from error
    return estimate


def build_job(house: Services, submission: Submission, estimate: Plan) -> Job:
    """The job as the ledger shall know it: succeeded if its artifacts are there already, else queued.

    It is recorded as queued just before it is published, which saves a transaction: if the process dies in between,
    nobody was promised anything and maintenance publishes the job when its message does not turn up.
    """
    asked, digest = submission.request, submission.request.digest
    now = house.clock()
    artifact = None
    if digest:
        secret = house.settings.secret.get_secret_value()
        artifact = artifact_key(secret, submission.tenant, digest, asked.options)
        if not house.store.exists(f"{artifact_prefix(submission.tenant, artifact)}/{MANIFEST}"):
            artifact = None
    return Job(
        id=submission.job,
        tenant=submission.tenant,
        state=State.SUCCEEDED if artifact else State.QUEUED,
        source=asked.source,
        filename=asked.filename,
        options=asked.options.model_dump(),
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
        queue=choose_queue(asked.options, estimate.peak_bytes, house.settings),
        webhook=asked.webhook,
        webhook_pending=asked.webhook is not None,
    )


def publish_job(house: Services, submission: Submission, job: Job) -> None:
    """Publish a recorded job; if the broker does not confirm it, take it back and raise."""
    asked = submission.request
    message = RenderMessage(
        job=job.id,
        tenant=job.tenant,
        source=asked.source,
        filename=asked.filename,
        options=asked.options,
        traceparent=submission.traceparent,
        webhook=asked.webhook,
    )
    try:
        house.publisher.publish(TASK, job.id, message.model_dump(mode="json"), queue=job.queue)
    except PublishError as error:
        if cancel_unconfirmed(house, submission, error):
            raise (house.admission.queue_full(job.queue) if isinstance(error, QueueFull) else error) from error
    house.admission.record_admitted(job.queue)
    house.metrics.submissions.labels("accepted").inc()


def cancel_unconfirmed(house: Services, submission: Submission, error: PublishError) -> bool:
    """Undo an accepted job that may not have been published. False if a worker has finished it nevertheless."""
    full = isinstance(error, QueueFull)
    house.metrics.submissions.labels("full" if full else "unavailable").inc()
    if isinstance(error, BrokerUnavailable):
        house.admission.mark_broker_down()
    reason = {"code": "queue-full" if full else "broker-unavailable", "detail": "The broker did not confirm the job."}
    try:
        if not house.ledger.jobs.cancel(submission.job, house.clock(), error=reason):
            return False
    except LedgerError:
        logger.warning("Job %s was refused, but stays in the ledger: it will be run", submission.job)
        return True
    delete_source(house, submission)
    return True


def delete_source(house: Services, submission: Submission) -> None:
    """Remove the drawing that came with a refused request."""
    if submission.request.writer is None:
        return
    try:
        house.store.delete(submission.request.source)
    except StoreError:
        logger.warning("The source %s of a refused job is left in the store", submission.request.source)
