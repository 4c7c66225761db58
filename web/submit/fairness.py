"""Fairness between tenants: a quota of unfinished renders, and a window of queued renders.

RabbitMQ queues are first in, first out. To keep one tenant's thousand renders from delaying everyone else, each tenant
has only a window of messages in the queue. Its other renders wait in the ledger, where they are just as durable, and
maintenance queues them in turn by tenant (`Jobs.next_fair_batch`). A new render therefore waits behind at most one
window of each other tenant.
"""

from __future__ import annotations

from dataclasses import replace

from tasks.jobs import Job, State
from web.dependencies import Services
from web.problems import Problem

# Seconds after which a tenant over its quota should retry.
QUOTA_RETRY_AFTER = 10


def admit(services: Services, job: Job) -> Job:
    """The job in the state in which it is accepted: queued, or waiting for the tenant's turn. Raises a 429 problem.

    Concurrent requests of a tenant do not see each other, so quota and window may be exceeded by the number of write
    threads of all web processes.
    """
    services.admission.check_queue(job.queue)
    quota, window = services.settings.tenant_quota, services.settings.tenant_max_queued
    if quota is not None and services.ledger.jobs.count_open(job.tenant) >= quota:
        services.metrics.submissions.labels("quota-exceeded").inc()
        raise quota_exceeded(quota)
    if window is not None and services.ledger.jobs.count_waiting(job.tenant, job.queue) >= window:
        return replace(job, state=State.ACCEPTED, published_at=None, publications=0)
    return job


def quota_exceeded(quota: int) -> Problem:
    """The 429 problem of a tenant that has reached its quota."""
    detail = (
        f"You have reached your quota of {quota} waiting or running renders. "
        f"Wait until one finishes or cancel one, then try again in {QUOTA_RETRY_AFTER} s."
    )
    return Problem(429, "quota-exceeded", detail, headers={"retry-after": str(QUOTA_RETRY_AFTER)})
