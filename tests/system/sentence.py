"""What became of good jobs, bombs and hangs: each must have ended as it deserves, with a true story."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tasks.ledger import Attempt, Job, Ledger, Outcome, State
from tests.system.mischief import BOMB, HANG
from tests.system.verdict import every_job, outputs

# Deaths of its own making after which a job is dead (BULKHEAD_MAX_DEATHS), and what they must be put down to.
DEATHS = 3
DESERVED = {BOMB: "out-of-memory", HANG: "time-limit"}

# Causes that are not the job's fault.
INNOCENT = frozenset({"killed", "worker-lost"})


@dataclass
class Sentence:
    """Counts for the reader, and what was broken: nothing if every promise was kept."""

    counts: dict[str, object] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


def pronounce(ledger: Ledger, store: Path, promised: Mapping[str, str]) -> Sentence:
    """Hold ledger and store against what was `promised`: job -> what its drawing does, if not nothing."""
    jobs = {job.id: job for job in every_job(ledger)}
    sentence = Sentence(
        broken=[f"job {job} was answered 202 and is not in the ledger" for job in promised.keys() - jobs]
    )
    ended: Counter[str] = Counter()
    attempts: Counter[str] = Counter()
    most: dict[str, int] = {}
    for job_id in promised.keys() & jobs:
        job, history, kind = jobs[job_id], ledger.attempts.history(job_id), promised[job_id]
        ended[f"{kind or 'good'}: {job.state}"] += 1
        attempts.update(f"{each.outcome}{f' ({each.cause})' if each.cause else ''}" for each in history)
        faults = _of_mischief(job, history, DESERVED[kind]) if kind else _of_good(job, history, store)
        sentence.broken += [f"{kind or 'good'} job {job_id}: {fault}" for fault in faults]
        most[kind or "good"] = max(most.get(kind or "good", 0), len(history))
    sentence.counts = {
        "promised": len(promised),
        "ended": dict(sorted(ended.items())),
        "attempts": dict(attempts.most_common()),
        "most_attempts_at_a_job": most,
    }
    return sentence


def _of_good(job: Job, history: list[Attempt], store: Path) -> list[str]:
    faults = []
    if job.state is not State.SUCCEEDED or job.deaths:
        faults.append(f"it is {job.state} with {job.deaths} deaths: {job.error}, {_told(history)}")
    if sum(each.outcome is Outcome.SUCCEEDED for each in history) != 1:
        faults.append(f"it did not succeed exactly once: {_told(history)}")
    return faults or outputs(store, job, None)


def _of_mischief(job: Job, history: list[Attempt], cause: str) -> list[str]:
    faults = []
    # A parent that is killed right after its child tells of that death late, while the next attempt runs already. That
    # one may finish, so it may be one death more, and its end is the last one.
    if job.state is not State.DEAD or job.deaths not in (DEATHS, DEATHS + 1):
        faults.append(f"it is {job.state} with {job.deaths} deaths")
    if (job.error or {}).get("code") not in {cause, history[-1].cause}:
        faults.append(f"its error is {job.error}")
    if sum(each.cause == cause for each in history) != job.deaths:
        faults.append(f"not all of its {job.deaths} deaths were put down to {cause}: {_told(history)}")
    if wrong := [each for each in history if each.cause not in INNOCENT | {cause}]:
        faults.append(f"it has another cause: {_told(wrong)}")
    return faults


def _told(history: list[Attempt]) -> str:
    return "; ".join(f"{each.number} {each.outcome} {each.cause or ''} {each.story or ''}" for each in history)
