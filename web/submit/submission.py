"""Taking a render: plan it, make its source durable, record it, publish it with a confirm. Only then it is accepted.

Synchronous: one trip to a thread does it all.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Any

from tasks.jobs import Job, LedgerUnavailable, State
from tasks.jobs.idempotency import Done, InProgress, New
from tasks.jobs.routing import lane, largest_fence
from tasks.messaging.connections import BrokerUnavailable, NotPublished, QueueFull
from tasks.observability.logs import about
from tasks.observability.tracing import span
from tasks.plan import Plan, PlanError, TooLarge, check, plan
from tasks.renders import TASK, RenderMessage, artifact_key, artifact_prefix
from tasks.settings import MIB
from tasks.storage import MANIFEST, StoreError
from web.dependencies import Services
from web.problems import Problem
from web.submit.fairness import enter
from web.submit.idempotency import in_progress, reused
from web.submit.uploads import Asked

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Submission:
    """A request for a render, and who made it under which key."""

    job: str
    tenant: str
    asked: Asked
    idempotency_key: str | None = None
    traceparent: str | None = None


def submit(house: Services, submission: Submission) -> Job:
    """Accept a render durably; a drawing that was rendered alike before has succeeded at once.

    Raises problems, StoreError, LedgerUnavailable, BrokerUnavailable; the submission left nothing behind then.
    """
    job = submission.job
    with span("submit", submission.traceparent, job=job) as traceparent, about(job=job, traceparent=traceparent):
        return accept(house, replace(submission, traceparent=traceparent))


def accept(house: Services, submission: Submission) -> Job:
    """What `submit` does, inside its span."""
    try:
        house.gate.check()  # the broker may have been found away while this waited for its thread
        submission.asked.settle()
        if submission.idempotency_key is None:
            return take(house, submission)
        return take_once(house, submission, submission.idempotency_key)
    finally:
        submission.asked.discard()


def take_once(house: Services, submission: Submission, key: str) -> Job:
    """Take the render unless a former request with this key did: its job then. Raises a 409 problem while that one is
    being handled: before the broker has confirmed its job, nobody may be promised it.
    """
    requests, tenant, fingerprint = house.ledger.requests, submission.tenant, submission.asked.fingerprint
    match requests.reserve(tenant, key, house.clock()):
        case InProgress():
            raise in_progress()
        case Done() as former:
            return former_job(house, tenant, former, fingerprint)
        case New():
            pass
    try:
        job = take(house, submission)
        requests.done(tenant, key, job=job.id, fingerprint=fingerprint)
    except BaseException:
        with suppress(LedgerUnavailable):
            requests.free(tenant, key)
        raise
    return job


def former_job(house: Services, tenant: str, former: Done, fingerprint: str) -> Job:
    """The job of a former request. Raises a 422 problem if that one had other content."""
    if fingerprint != former.fingerprint:
        raise reused()
    job = house.ledger.jobs.find(former.job, tenant)
    if job is None:
        raise in_progress()  # it is being removed this very moment; its key will be free
    return job


def take(house: Services, submission: Submission) -> Job:
    """Plan the drawing, store it, record the job and publish it."""
    asked = submission.asked
    estimate = estimated(house, asked)
    job = job_of(house, submission, estimate)
    if job.state is not State.SUCCEEDED:
        check_room(house)
        job = enter(house, job)
    if asked.writer:
        asked.writer.commit()
    try:
        house.ledger.jobs.accept(job)
    except LedgerUnavailable:
        forget_source(house, submission)
        raise
    match job.state:
        case State.SUCCEEDED:
            house.metrics.submissions.labels("reused").inc()
        case State.ACCEPTED:
            house.metrics.submissions.labels("held").inc()
        case _:
            publish(house, submission, job)
    return job


def check_room(house: Services) -> None:
    """Raise a 507 problem while the store has no more room than the renders under way may need for their outputs."""
    free, reserve = house.store.free(), house.settings.store_reserve
    if free is not None and free < reserve:
        house.metrics.submissions.labels("no-room").inc()
        detail = (
            f"The store has {free // MIB:,} MiB left and keeps {reserve // MIB:,} MiB for renders under way. "
            "Remove renders that are not needed any more, or have its disk enlarged."
        )
        raise Problem(507, "store-full", detail)


def estimated(house: Services, asked: Asked) -> Plan:
    """The plan of the drawing. Raises a 413 or 422 problem if it cannot be rendered inside the fence."""
    source = nullcontext(asked.writer.path) if asked.writer else house.store.borrow(asked.source)
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
        check(estimate, largest_fence(house.settings))
    except PlanError as error:
        house.metrics.submissions.labels("refused").inc()
        members: dict[str, Any] = {"plan": estimate.as_dict()} if estimate else {}
        raise Problem(413 if isinstance(error, TooLarge) else 422, error.code, str(error), **members) from error
    return estimate


def job_of(house: Services, submission: Submission, estimate: Plan) -> Job:
    """The job as the ledger shall know it: succeeded if its artifacts are there already, else queued.

    It is recorded as queued just before it is published, which saves a transaction: if the process dies in between,
    nobody was promised anything and upkeep publishes the job when its message does not turn up.
    """
    asked, digest = submission.asked, submission.asked.digest
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
        queue=lane(asked.options, estimate.peak_bytes, house.settings),
        webhook=asked.webhook,
        webhook_due=asked.webhook is not None,
    )


def publish(house: Services, submission: Submission, job: Job) -> None:
    """Publish a recorded job; if the broker does not confirm it, take it back and raise."""
    asked = submission.asked
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
    except NotPublished as error:
        if take_back(house, submission, error):
            raise (house.gate.full(job.queue) if isinstance(error, QueueFull) else error) from error
    house.gate.admitted(job.queue)
    house.metrics.submissions.labels("accepted").inc()


def take_back(house: Services, submission: Submission, error: NotPublished) -> bool:
    """Undo an accepted job that may not have been published. False if a worker has finished it nevertheless."""
    full = isinstance(error, QueueFull)
    house.metrics.submissions.labels("full" if full else "unavailable").inc()
    if isinstance(error, BrokerUnavailable):
        house.gate.broken()
    reason = {"code": "queue-full" if full else "broker-unavailable", "detail": "The broker did not confirm the job."}
    try:
        if not house.ledger.jobs.cancel(submission.job, house.clock(), error=reason):
            return False
    except LedgerUnavailable:
        logger.warning("Job %s was refused, but stays in the ledger: it will be run", submission.job)
        return True
    forget_source(house, submission)
    return True


def forget_source(house: Services, submission: Submission) -> None:
    """Remove the drawing that came with a refused request."""
    if submission.asked.writer is None:
        return
    try:
        house.store.delete(submission.asked.source)
    except StoreError:
        logger.warning("The source %s of a refused job is left in the store", submission.asked.source)
