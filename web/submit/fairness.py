"""How much of the platform one tenant may have: a quota of renders under way, and a window in the queue.

A queue of RabbitMQ is first come, first served: what lies in it cannot be overtaken. So that one tenant's thousand
renders are not in everybody's way, only a window of them lies in the queue. The others are in the ledger, as durable,
and maintenance lets them in, each tenant in turn (`Jobs.next_in_turn`). Whoever comes next then waits behind one window of
each other tenant at most.
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
