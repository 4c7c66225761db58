"""Helpers of the ledger tests: jobs, claims and crashes."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from tasks.jobs import (
    Claimed,
    Job,
    Ledger,
    Outcome,
    State,
)

T0 = 1_700_000_000.25
LEASE = 30.0
MAX_CRASHES = 3
HOST = "drum-1a2b3c4d-4026531836"
OWNER_A = f"{HOST}:100:5000"
OWNER_B = f"{HOST}:200:6000"


def a_job(**fields: Any) -> Job:
    job_id = str(uuid.uuid4())
    tenant = fields.get("tenant", "acme")
    job = Job(
        id=job_id,
        tenant=tenant,
        state=State.ACCEPTED,
        source=f"sources/{tenant}/{job_id}",
        filename="pump.dxf",
        options={"width": 2048, "background": "light"},
        created_at=T0,
        updated_at=T0,
    )
    return replace(job, **fields)


def add_job(ledger: Ledger, **fields: Any) -> Job:
    job = a_job(**fields)
    ledger.jobs.accept(job)
    return job


def claim_job(ledger: Ledger, job: Job, lease_owner: str = OWNER_A, now: float = T0, **more: Any) -> Job:
    claim = ledger.attempts.claim(job, lease_owner=lease_owner, now=now, lease=LEASE, **more)
    assert isinstance(claim, Claimed)
    return claim.job


def find(ledger: Ledger, job: Job) -> Job:
    stored = ledger.jobs.find(job.id)
    assert stored is not None
    return stored


def crash(ledger: Ledger, job: Job, pid: int = 100, *, job_at_fault: bool = True, now: float = T0 + 1) -> State | None:
    explanation = (
        "The process crashed in native code with SIGSEGV."
        if job_at_fault
        else "The process was killed from outside with SIGKILL."
    )
    cause = "native-crash" if job_at_fault else "killed"
    return ledger.attempts.record_crash(
        job.id, host=HOST, pid=pid, cause=cause, job_at_fault=job_at_fault, explanation=explanation, now=now
    )


def outcomes(ledger: Ledger, job: Job) -> list[Outcome]:
    return [attempt.outcome for attempt in ledger.attempts.history(job.id)]


def in_parallel(count: int, call: Callable[[int], Any]) -> list[Any]:
    """The results of `count` threads that start at the same moment."""
    barrier = threading.Barrier(count)

    def one(number: int) -> Any:
        barrier.wait(timeout=30)
        return call(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))
