"""Why a worker child ended: a pure decision from its exit status and the counters around it."""

from dataclasses import dataclass
from enum import StrEnum
from signal import Signals

# Signals that a process causes by its own fault, as opposed to signals that somebody sends to stop it.
CRASH_SIGNALS = frozenset(
    {Signals.SIGSEGV, Signals.SIGBUS, Signals.SIGFPE, Signals.SIGILL, Signals.SIGABRT, Signals.SIGSYS, Signals.SIGTRAP}
)

# Signals by which others end or stop a process. A confined process cannot send them to itself, to pass for one that was
# killed or frozen; every other signal that ends it is its own doing.
STOP_SIGNALS = frozenset(
    {
        *(Signals.SIGHUP, Signals.SIGINT, Signals.SIGQUIT, Signals.SIGKILL, Signals.SIGTERM),
        *(Signals.SIGSTOP, Signals.SIGTSTP, Signals.SIGTTIN, Signals.SIGTTOU),
    }
)


class Cause(StrEnum):
    """What ended an attempt."""

    OUT_OF_MEMORY = "out-of-memory"
    TIME_LIMIT = "time-limit"
    HUNG = "hung"
    QUOTA = "quota-exceeded"
    CRASH = "native-crash"
    STARVED = "starved"
    KILLED = "killed"
    LEDGER_UNAVAILABLE = "ledger-unavailable"
    ERROR = "error"

    @property
    def job_at_fault(self) -> bool:
        """Whether the job caused it. A kill from outside, a slow host and an unavailable ledger are not its fault."""
        return self not in (Cause.KILLED, Cause.STARVED, Cause.LEDGER_UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class Death:
    """A cause with its explanation, a sentence for operators.

    `predicate` continues a sentence that begins with "Attempt 2" (see `workers.crash.explanation`).
    """

    cause: Cause
    explanation: str
    predicate: str = ""


def classify(status: int, *, oom_kills: int = 0, time_limit: float | None = None) -> Death:
    """Classify the end of a child.

    `status` is its exit code, or the negative number of the signal that ended it. `oom_kills` is how many processes of
    its cgroup the OOM killer ended while it ran. `time_limit` (seconds) is given if Celery stopped a worker child for
    exceeding it: the limits of a render end the render alone. A SIGKILL without any of these came from outside and is
    not the job's fault.
    """
    if time_limit is not None:
        busy = f"because its worker was still busy after {time_limit:g} s"
        return Death(Cause.STARVED, f"The attempt was stopped {busy}.", f"was stopped {busy},")
    if status >= 0:
        ended = f"ended the process with exit code {status}"
        return Death(Cause.CRASH, f"Native code {ended}.", f"failed when native code {ended},")
    signal = _signal_name(-status)
    if -status == Signals.SIGXFSZ:
        return Death(
            Cause.QUOTA, "The process wrote a file of more than its size limit.", "wrote a file over the size limit"
        )
    if -status == Signals.SIGKILL and oom_kills > 0:
        explanation = "The kernel killed the process because it exceeded its memory limit."
        return Death(Cause.OUT_OF_MEMORY, explanation, "was killed by the kernel")
    if -status in CRASH_SIGNALS:
        return Death(
            Cause.CRASH, f"The process crashed in native code with {signal}.", f"crashed in native code with {signal}"
        )
    predicate = f"was killed from outside with {signal}"
    return Death(Cause.KILLED, f"The process {predicate}.", predicate)


def classify_confined(status: int, *, oom_kills: int = 0) -> Death:
    """Classify the end of a confined process, which no one but itself ends by other signals than STOP_SIGNALS."""
    if status < 0 and -status not in STOP_SIGNALS | CRASH_SIGNALS | {Signals.SIGXFSZ}:
        ended = f"ended itself with {_signal_name(-status)}"
        return Death(Cause.CRASH, f"The process {ended}.", ended)
    return classify(status, oom_kills=oom_kills)


def _signal_name(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"
