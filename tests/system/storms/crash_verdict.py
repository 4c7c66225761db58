"""Judges good jobs, bombs, hangs and full disks: each must have its proper end and a correct explanation."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tasks.jobs import Attempt, Job, Ledger, Outcome, State
from tests.system.storms.faulty_engine import BOMB, FILL, HANG
from tests.system.storms.verdict import all_jobs, outputs

# Crashes after which a job is dead (BULKHEAD_MAX_CRASHES), and their expected causes.
MAX_CRASHES = 3
EXPECTED_CAUSES = {BOMB: "out-of-memory", HANG: "hung", FILL: "quota-exceeded"}
PREDICATES = {
    "out-of-memory": (
        "was killed by the kernel at ",
        "was stopped over its memory limit at ",
        "was killed with its whole worker at ",  # a parent was killed beside a bomb over its limit
    ),
    "hung": ("was stopped because it neither computed nor made progress for ",),
    "quota-exceeded": ("was stopped because it wrote more than ",),
}

# Causes of interrupted attempts, which say nothing about the job. A bomb or a hang may have one other attempt more than
# crashes: it was running when the report of the last crash arrived late.
INTERRUPTED = frozenset(
    {"killed", "ledger-unavailable", "worker-lost", "store-unavailable", "starved", "sandbox-unavailable"}
)
SUPERSEDED = "job-already-dead"
MAX_ATTEMPTS = MAX_CRASHES + 1


@dataclass
class CrashVerdict:
    """Counts and violations; there are none if every accepted job ended properly."""

    counts: dict[str, object] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)


def judge_crashes(ledger: Ledger, store: Path, accepted: Mapping[str, str]) -> CrashVerdict:
    """Compare ledger and store with the `accepted` jobs: job -> fault of its drawing, empty for good ones."""
    jobs = {job.id: job for job in all_jobs(ledger)}
    verdict = CrashVerdict(
        violations=[f"job {job} was answered 202 and is not in the ledger" for job in accepted.keys() - jobs]
    )
    outcomes: Counter[str] = Counter()
    attempts: Counter[str] = Counter()
    max_attempts: dict[str, int] = {}
    max_uninterrupted: dict[str, int] = {}
    reused = 0
    for job_id in accepted.keys() & jobs:
        job, history, kind = jobs[job_id], ledger.attempts.history(job_id), accepted[job_id]
        outcomes[f"{kind or 'good'}: {job.state}"] += 1
        attempts.update(f"{attempt.outcome}{f' ({attempt.cause})' if attempt.cause else ''}" for attempt in history)
        reused += _was_rendered_before(job)
        errors = (
            _errors_of_faulty(job, history, EXPECTED_CAUSES[kind]) if kind else _errors_of_good(job, history, store)
        )
        verdict.violations += [f"{kind or 'good'} job {job_id}: {error}" for error in errors]
        max_attempts[kind or "good"] = max(max_attempts.get(kind or "good", 0), len(history))
        max_uninterrupted[kind or "good"] = max(max_uninterrupted.get(kind or "good", 0), len(_uninterrupted(history)))
    verdict.counts = {
        "accepted": len(accepted),
        "ended": dict(sorted(outcomes.items())),
        "rendered_before": reused,
        "attempts": dict(attempts.most_common()),
        "max_attempts_per_job": max_attempts,
        "max_uninterrupted_per_job": max_uninterrupted,
    }
    return verdict


def _errors_of_good(job: Job, history: list[Attempt], store: Path) -> list[str]:
    errors: list[str] = []
    if job.state is not State.SUCCEEDED or job.crashes:
        errors.append(f"it is {job.state} with {job.crashes} crashes: {job.error}, {_describe(history)}")
    if sum(attempt.outcome is Outcome.SUCCEEDED for attempt in history) != (0 if _was_rendered_before(job) else 1):
        errors.append(f"it did not succeed exactly once: {_describe(history)}")
    return errors or outputs(store, job, None)


def _was_rendered_before(job: Job) -> bool:
    """Whether the outputs existed and nothing was published: the drawing had been submitted before, and its client
    submitted it again because the response was lost.
    """
    return job.publications == 0


def _errors_of_faulty(job: Job, history: list[Attempt], expected: str) -> list[str]:
    errors = []
    if job.state is not State.DEAD or job.crashes != MAX_CRASHES:
        errors.append(f"it is {job.state} with {job.crashes} crashes")
    if (job.error or {}).get("code") != expected:
        errors.append(f"its error is {job.error}")
    if sum(attempt.cause == expected for attempt in history) != job.crashes:
        errors.append(f"not all of its {job.crashes} crashes were attributed to {expected}: {_describe(history)}")
    if len(_uninterrupted(history)) > MAX_ATTEMPTS:
        errors.append(f"it took {len(_uninterrupted(history))} uninterrupted attempts: {_describe(history)}")
    if wrong := [attempt for attempt in history if attempt.cause not in INTERRUPTED | {expected, SUPERSEDED}]:
        errors.append(f"it has another cause: {_describe(wrong)}")
    errors += [
        f"its explanation is wrong: {attempt.explanation}"
        for attempt in history
        if attempt.cause == expected and not _is_explained(attempt)
    ]
    return errors


def _uninterrupted(history: list[Attempt]) -> list[Attempt]:
    """The attempts that were not interrupted."""
    return [attempt for attempt in history if attempt.cause not in INTERRUPTED]


def _is_explained(attempt: Attempt) -> bool:
    """Whether the explanation of a crash has the attempt, the cause and the stage."""
    explanation = attempt.explanation or ""
    starts = tuple(f"Attempt {attempt.number} {predicate}" for predicate in PREDICATES[attempt.cause or ""])
    return explanation.startswith(starts) and " while " in explanation


def _describe(history: list[Attempt]) -> str:
    return "; ".join(
        f"{attempt.number} {attempt.outcome} {attempt.cause or ''} {attempt.explanation or ''}" for attempt in history
    )
