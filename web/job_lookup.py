"""Finds the jobs of a tenant, for routes: in the ledger or in a short cache, at once or when they are finished."""

from __future__ import annotations

from tasks.jobs import FINAL, Job, State
from web.dependencies import Services
from web.job_views import Render, render_view, with_progress
from web.problems import Problem
from web.progress.hub import wait_for_final_event

POLL_INTERVAL = 1.0  # seconds between two reads of the ledger while a client waits, in case a message is lost


async def find_job(services: Services, tenant: str, job_id: str) -> Job:
    """The tenant's job. Raises a 404 problem, also for jobs of other tenants."""
    job = await services.run_read(services.ledger.jobs.find, job_id, tenant)
    if job is None:
        raise render_not_found()
    return job


def render_not_found() -> Problem:
    return Problem(404, "no-such-render", "There is no such render. GET /renders lists your renders.")


async def find_rendered_job(services: Services, tenant: str, job_id: str) -> Job:
    """As `find_job`, with a cache of some seconds for succeeded jobs, since viewers request tiles by the hundred.

    Outputs of a removed render that another job shares therefore stay readable for these seconds.
    """
    job = await find_cached_job(services, job_id)
    if job is None or job.tenant != tenant:
        raise render_not_found()
    return job


async def find_cached_job(services: Services, job_id: str) -> Job | None:
    """The job of any tenant, from the cache if possible. The caller must check the tenant."""
    cached: Job | None = services.rendered_jobs.get(job_id)
    if cached is not None:
        return cached
    job = await services.run_read(services.ledger.jobs.find, job_id)
    if job is not None and job.state is State.SUCCEEDED:
        services.rendered_jobs[job_id] = job
    return job


async def load_render(services: Services, tenant: str, job_id: str) -> Render:
    """The tenant's job with all details. Raises a 404 problem."""
    job = await find_job(services, tenant, job_id)
    attempts = await services.run_read(services.ledger.attempts.history, job_id)
    return with_progress(render_view(services, job, attempts), services.progress_hub.latest(job_id))


async def wait_until_finished(services: Services, tenant: str, job_id: str, seconds: float) -> Job:
    """Wait until the job is finished, at most `seconds`, and return it."""
    deadline = services.clock() + seconds
    with services.progress_hub.subscribe(job_id) as messages:
        while True:
            job = await find_job(services, tenant, job_id)
            remaining = deadline - services.clock()
            if job.state in FINAL or remaining <= 0:
                return job
            await wait_for_final_event(messages, min(POLL_INTERVAL, remaining))
