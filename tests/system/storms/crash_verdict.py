"""What became of good jobs, bombs and hangs: each must have ended as it deserves, with a true story."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tasks.jobs import Attempt, Job, Ledger, Outcome, State
from tests.system.storms.faulty_engine import BOMB, HANG
from tests.system.storms.verdict import every_job, outputs

# Deaths of its own making after which a job is dead (BULKHEAD_MAX_CRASHES), and what they must be put down to.
DEATHS = 3
# A bomb may run out of time before memory: a busy machine does not hand out pages so fast.
DESERVED = {BOMB: frozenset({"out-of-memory", "time-limit"}), HANG: frozenset({"time-limit"})}

# How an attempt ends that somebody else interrupted: it says nothing about the job. Of the others, all that a bomb or
# a hang may have: one more than its deaths, which was under way when word of the last one came late.
INTERRUPTED = frozenset({"killed", "ledger-unavailable", "worker-lost", "store-unavailable"})
LATE = "job-already-dead"
ATTEMPTS = DEATHS + 1


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
    own: dict[str, int] = {}
    before = 0
    for job_id in promised.keys() & jobs:
        job, history, kind = jobs[job_id], ledger.attempts.history(job_id), promised[job_id]
        ended[f"{kind or 'good'}: {job.state}"] += 1
        attempts.update(f"{each.outcome}{f' ({each.cause})' if each.cause else ''}" for each in history)
        before += _was_rendered_before(job)
        faults = _of_mischief(job, history, DESERVED[kind]) if kind else _of_good(job, history, store)
        sentence.broken += [f"{kind or 'good'} job {job_id}: {fault}" for fault in faults]
        most[kind or "good"] = max(most.get(kind or "good", 0), len(history))
        own[kind or "good"] = max(own.get(kind or "good", 0), len(_own(history)))
    sentence.counts = {
        "promised": len(promised),
        "ended": dict(sorted(ended.items())),
        "rendered_before": before,
        "attempts": dict(attempts.most_common()),
        "most_attempts_at_a_job": most,
        "most_that_nobody_interrupted": own,
    }
    return sentence


def _of_good(job: Job, history: list[Attempt], store: Path) -> list[str]:
    faults = []
    if job.state is not State.SUCCEEDED or job.crashes:
        faults.append(f"it is {job.state} with {job.crashes} deaths: {job.error}, {_told(history)}")
    if sum(each.outcome is Outcome.SUCCEEDED for each in history) != (0 if _was_rendered_before(job) else 1):
        faults.append(f"it did not succeed exactly once: {_told(history)}")
    return faults or outputs(store, job, None)


def _was_rendered_before(job: Job) -> bool:
    """Whether the intake found the outputs there, and published nothing: the drawing had come once before, and its
    client sent it again because the answer was lost, or because a kill kept the intake from promising anything.
    """
    return job.publications == 0


def _of_mischief(job: Job, history: list[Attempt], deserved: frozenset[str]) -> list[str]:
    faults = []
    if job.state is not State.DEAD or job.crashes != DEATHS:
        faults.append(f"it is {job.state} with {job.crashes} deaths")
    if (job.error or {}).get("code") not in deserved:
        faults.append(f"its error is {job.error}")
    if sum(each.cause in deserved for each in history) != job.crashes:
        faults.append(f"not all of its {job.crashes} deaths were put down to {sorted(deserved)}: {_told(history)}")
    if len(_own(history)) > ATTEMPTS:
        faults.append(f"it took {len(_own(history))} attempts that nobody interrupted: {_told(history)}")
    if wrong := [each for each in history if each.cause not in INTERRUPTED | deserved | {LATE}]:
        faults.append(f"it has another cause: {_told(wrong)}")
    faults += [
        f"its story is wrong: {each.explanation}" for each in history if each.cause in deserved and not _true(each)
    ]
    return faults


def _own(history: list[Attempt]) -> list[Attempt]:
    """The attempts that nobody else interrupted."""
    return [each for each in history if each.cause not in INTERRUPTED]


def _true(attempt: Attempt) -> bool:
    """Whether the story of a death of the job's own making names the attempt, the end and where it was."""
    did = {"out-of-memory": "was killed by the kernel at ", "time-limit": "was stopped at its time limit of "}
    said = attempt.explanation or ""
    return said.startswith(f"Attempt {attempt.number} {did[attempt.cause or '']}") and " while " in said


def _told(history: list[Attempt]) -> str:
    return "; ".join(f"{each.number} {each.outcome} {each.cause or ''} {each.explanation or ''}" for each in history)
