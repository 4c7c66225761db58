"""One attempt at a job: claim it, keep its lease while the work goes on, and settle it in the ledger.

    def work(attempt: Running) -> Done: ...

    attempt(bench(), job, work)

The message is acknowledged when this returns, comes back when it raises `Reject(requeue=True)`, and goes to the dead
letters when it raises `Reject(requeue=False)`.
"""

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from celery.exceptions import Reject
from celery.utils.log import get_logger

from tasks.jobs import Claim, Granted, Held, Job, LedgerUnavailable, Moved, State, Taken
from tasks.messaging.progress import Progress
from tasks.observability.logs import about
from tasks.observability.tracing import span
from tasks.storage import StoreError
from workers.crash import crash_reports, explanation
from workers.crash.causes import Cause, Death
from workers.crash.flight_recorder import Flight, record
from workers.runtime.context import Bench
from workers.runtime.leak_sampling import tracked
from workers.runtime.lease_owner import is_gone
from workers.runtime.resource_usage import Account

logger = get_logger(__name__)

T = TypeVar("T")

# A job that another worker seems to hold may be free in a moment: the death of its holder is being noted. After this
# many seconds the message is let go; when the lease runs out, upkeep publishes the job again.
HELD_PATIENCE = 2.0

# How often to look (seconds). A holder that is found gone twice has a parent that is gone, too, or it would be
# explained by now: a parent that lives notes a death within milliseconds.
HELD_INTERVAL = 0.1

# A ledger that is away is waited for, since nothing can be done without it, but no longer than this (seconds): then
# the message goes back to its queue, and the time limit starts anew.
LEDGER_PATIENCE = 60.0

# Progress is told at most this often (seconds).
PROGRESS_INTERVAL = 0.2


class JobError(Exception):
    """The job cannot be done, however often one tries. `code` is for programs, the text for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class GiveBack(Exception):
    """This worker cannot do the job now, through no fault of the job's. `cause` is for programs.

    With a `queue`, the job belongs into another lane than the one that its message came through.
    """

    def __init__(self, cause: str, story: str, queue: str | None = None) -> None:
        super().__init__(story)
        self.cause = cause
        self.queue = queue


class Fenced(Exception):
    """The attempt no longer counts: the job was cancelled, or a newer attempt holds it."""


@dataclass(frozen=True, slots=True)
class Done:
    """Work finished: the artifacts' key, and what the run took."""

    artifact: str
    facts: dict[str, Any] = field(default_factory=dict)


class Running:
    """A claimed job, as the work on it sees it."""

    def __init__(self, bench: Bench, job: Job, flight: Flight) -> None:
        self.bench = bench
        self.job = job
        self.flight = flight
        self.account = Account()
        self.lost = threading.Event()
        self.planned = 0
        self._expect(job.plan)
        self._told = float("-inf")

    def note_plan(self, *, digest: str, size: int, plan: dict[str, Any]) -> None:
        """Record in the ledger what was read from the source's header, unless the intake did so already."""
        self._expect(plan)
        if (self.job.digest, self.job.size, self.job.plan) == (digest, size, plan):
            return
        self.patiently(
            lambda: self.bench.ledger.attempts.note_plan(
                self.job.id, self.job.attempt, digest=digest, size=size, plan=plan
            )
        )

    def patiently(self, call: Callable[[], T]) -> T:
        """The ledger's answer, waited for. Its absence is not the job's fault, whatever ends the attempt meanwhile.

        Raises Reject(requeue=True) when it stays away.
        """
        with self.flight.waiting():
            return patiently(call)

    def progress(self, percent: int, stage: str, layer: str = "") -> None:
        """Tell how far the job is. Raises Fenced when there is no point in going on."""
        self.flight.at(stage, layer)
        if self.lost.is_set():
            raise Fenced
        now = time.monotonic()
        if now - self._told >= PROGRESS_INTERVAL or percent == 100:
            self._told = now
            self._tell(State.RUNNING, percent, stage, layer)

    def tell_end(self, state: State) -> None:
        """Tell whoever watches that the job is settled."""
        self._tell(state, 100 if state is State.SUCCEEDED else 0, "", "")

    def keep_lease(self, stopped: threading.Event) -> None:
        """Renew the lease thrice a lease until stopped, or until the ledger says that it is lost."""
        lease = self.bench.settings.lease_seconds
        while not stopped.wait(lease / 3):
            with suppress(LedgerUnavailable):
                renewed = self.bench.ledger.attempts.renew(self.job.id, self.job.attempt, now=time.time(), lease=lease)
                if not renewed:
                    self.lost.set()
                    return

    def _expect(self, plan: dict[str, Any] | None) -> None:
        self.planned = (plan or {}).get("peak_bytes") or self.planned
        self.flight.plan(self.planned)

    def _tell(self, state: State, percent: int, stage: str, layer: str) -> None:
        self.bench.teller.tell(
            Progress(
                job=self.job.id,
                tenant=self.job.tenant,
                state=state,
                attempt=self.job.attempt,
                percent=percent,
                stage=stage,
                layer=layer,
            )
        )


def attempt(bench: Bench, job: Job, work: Callable[[Running], Done]) -> None:
    """Make one attempt at `job`, which is adopted if the ledger does not know it. Raises Reject as said above."""
    claim = _claim(bench, job)
    if isinstance(claim, Held):
        logger.warning("Job %s is held by %s: let go until its lease runs out.", job.id, claim.job.holder)
        return
    if isinstance(claim, Moved):
        logger.info("Job %s goes on in %s: its message is let go.", job.id, claim.job.queue)
        return
    if isinstance(claim, Taken):
        raise Reject("the id belongs to another job", requeue=False)
    if not isinstance(claim, Granted):
        _dismiss(claim.job)
        return
    granted = claim.job
    with (
        span("attempt", granted.traceparent, job=granted.id, attempt=granted.attempt) as traceparent,
        about(job=granted.id, attempt=granted.attempt, traceparent=traceparent),
    ):
        _run(bench, granted, work)


def _run(bench: Bench, job: Job, work: Callable[[Running], Done]) -> None:
    with record(bench.settings.var, bench.holder, job=job.id, attempt=job.attempt) as flight:
        running = Running(bench, job, flight)
        stopped = threading.Event()
        pulse = threading.Thread(target=running.keep_lease, args=(stopped,), daemon=True, name="lease")
        pulse.start()
        try:
            with tracked(bench, job) as running.account.tracked:
                _settle(running, work)
        finally:
            stopped.set()
            pulse.join()


def patiently(call: Callable[[], T]) -> T:
    """The ledger's answer, waited for. Raises Reject(requeue=True) when it stays away."""
    deadline = time.monotonic() + LEDGER_PATIENCE
    pause = 0.05
    while True:
        try:
            return call()
        except LedgerUnavailable as error:
            if time.monotonic() > deadline:
                raise Reject(str(error), requeue=True) from error
            logger.warning("Waiting for the ledger: %s", error)
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 2, 2.0)


def _claim(bench: Bench, job: Job) -> Claim:
    seen_gone: set[str] = set()

    def vanished(holder: str) -> bool:
        """Whether a holder was gone at the look before, too: its parent had time to note why."""
        if not is_gone(holder):
            return False
        known = holder in seen_gone
        seen_gone.add(holder)
        return known

    def claim() -> Claim:
        crash_reports.carry(bench.settings.var, bench.ledger)
        return bench.ledger.attempts.claim(
            job, holder=bench.holder, now=time.time(), lease=bench.settings.lease_seconds, is_gone=vanished
        )

    deadline = time.monotonic() + HELD_PATIENCE
    while isinstance(answer := patiently(claim), Held) and time.monotonic() < deadline:
        time.sleep(HELD_INTERVAL)
    return answer


def _dismiss(job: Job) -> None:
    """A message of a settled job: nothing to do, but a dead job's message belongs with the dead letters."""
    logger.info("Job %s is %s already.", job.id, job.state)
    if job.state is State.DEAD:
        raise Reject((job.error or {}).get("detail", "the job is dead"), requeue=False)


def _settle(running: Running, work: Callable[[Running], Done]) -> None:
    job, attempts = running.job, running.bench.ledger.attempts
    try:
        done = work(running)
    except Fenced:
        logger.warning("Attempt %d at job %s no longer counts.", job.attempt, job.id)
    except JobError as error:
        problem, facts = {"code": error.code, "detail": str(error)}, running.account.facts(running.planned)
        if running.patiently(lambda: attempts.fail(job.id, job.attempt, now=time.time(), error=problem, facts=facts)):
            logger.warning("Job %s failed: %s", job.id, problem["detail"])
            running.tell_end(State.FAILED)
    except (GiveBack, StoreError) as error:
        cause, queue, said = getattr(error, "cause", "store"), getattr(error, "queue", None), str(error)
        logger.warning("Attempt %d at job %s is given back. %s", job.attempt, job.id, said)
        # The ledger publishes it again later: the broker's delivery limit must not count our own troubles.
        running.patiently(
            lambda: attempts.release(job.id, job.attempt, now=time.time(), cause=cause, story=said, queue=queue)
        )
    except MemoryError as error:
        needed = f"needed more memory than its limits allow ({error or 'MemoryError'}),"
        _die(running, Cause.OUT_OF_MEMORY, needed)
    except Reject:
        raise
    except Exception as error:
        logger.exception("Attempt %d at job %s met an error of ours.", job.attempt, job.id)
        _die(running, Cause.ERROR, f"met an unexpected {type(error).__name__}")
    else:
        facts = done.facts | running.account.facts(running.planned)
        settled = running.patiently(
            lambda: attempts.succeed(job.id, job.attempt, now=time.time(), artifact=done.artifact, facts=facts)
        )
        if settled:
            running.tell_end(State.SUCCEEDED)
        else:
            logger.warning("Attempt %d at job %s succeeded, but no longer counts.", job.attempt, job.id)


def _die(running: Running, cause: Cause, did: str) -> None:
    """An attempt that its child survived counts as a death all the same."""
    job, facts = running.job, running.account.spent(running.planned)
    said = explanation.tell(Death(cause, f"It {did}.", did), running.flight.last())
    host, pid, _started = running.bench.holder.rsplit(":", 2)
    state = running.patiently(
        lambda: running.bench.ledger.attempts.died(
            job.id, host=host, pid=int(pid), cause=cause, causal=cause.causal, story=said, now=time.time(), facts=facts
        )
    )
    if state is State.DEAD:
        running.tell_end(State.DEAD)
    logger.error("Job %s: %s", job.id, said)
    raise Reject(said, requeue=state is not State.DEAD)
