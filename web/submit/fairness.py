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

# Seconds after which a tenant over its quota may ask again: some of its renders may be done by then.
QUOTA_RETRY_AFTER = 10


def admit(house: Services, job: Job) -> Job:
    """The job as it may enter: queued, or accepted to wait for its turn. Raises a 429 problem with Retry-After.

    Requests of a tenant that are taken in the same moment do not see each other, so it may exceed quota and window by
    as many as the web processes have threads.
    """
    house.admission.check_queue(job.queue)
    quota, window = house.settings.tenant_quota, house.settings.tenant_max_queued
    if quota is not None and house.ledger.jobs.count_open(job.tenant) >= quota:
        house.metrics.submissions.labels("quota").inc()
        raise quota_exceeded(quota)
    if window is not None and house.ledger.jobs.count_waiting(job.tenant, job.queue) >= window:
        return replace(job, state=State.ACCEPTED, published_at=None, publications=0)
    return job


def quota_exceeded(quota: int) -> Problem:
    """The answer to a tenant that has as many renders under way as it may."""
    detail = (
        f"You have {quota} renders waiting or running, which is your quota: "
        f"wait until one is done or cancel one, and try again in {QUOTA_RETRY_AFTER} s."
    )
    return Problem(429, "quota-exceeded", detail, headers={"retry-after": str(QUOTA_RETRY_AFTER)})
