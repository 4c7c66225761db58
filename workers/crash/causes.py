"""Why a worker child died: a pure decision about the traces that its death left."""

from dataclasses import dataclass
from enum import StrEnum
from signal import Signals

# A process that these end met a fault of its own doing, not somebody's wish to stop it.
CRASH_SIGNALS = frozenset(
    {Signals.SIGSEGV, Signals.SIGBUS, Signals.SIGFPE, Signals.SIGILL, Signals.SIGABRT, Signals.SIGSYS, Signals.SIGTRAP}
)


class Cause(StrEnum):
    """What ended a child."""

    OUT_OF_MEMORY = "out-of-memory"
    TIME_LIMIT = "time-limit"
    CRASH = "native-crash"
    KILLED = "killed"
    LEDGER_UNAVAILABLE = "ledger-unavailable"
    ERROR = "error"

    @property
    def job_at_fault(self) -> bool:
        """Whether it is the job's own fault. Being killed from outside is not, nor is waiting for the platform."""
        return self not in (Cause.KILLED, Cause.LEDGER_UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class Death:
    """A cause, and the sentence that an operator reads.

    `did` is what becomes of the attempt, in words that go on from "Attempt 2" (see `workers.crash.explanation`).
    """

    cause: Cause
    explanation: str
    predicate: str = ""


def classify(status: int, *, oom_kills: int = 0, time_limit: float | None = None) -> Death:
    """Explain a child's end.

    `status` is its exit code, or the negative number of the signal that ended it. `oom_kills` is how many processes the
    kernel killed for memory in the child's cgroup meanwhile. `time_limit` is given, in seconds, if the parent ended the
    child for exceeding it. A SIGKILL that nothing explains came from outside: that is not the job's fault.
    """
    if time_limit is not None:
        limit = f"its time limit of {time_limit:g} s"
        return Death(Cause.TIME_LIMIT, f"It was still running after {limit}.", f"was stopped at {limit},")
    if status >= 0:
        left = f"left the process with exit code {status}"
        return Death(Cause.CRASH, f"Native code {left}.", f"ended when native code {left},")
    signal = _signal_name(-status)
    if -status == Signals.SIGKILL and oom_kills > 0:
        story = "The kernel killed it: it needed more memory than its fence allows."
        return Death(Cause.OUT_OF_MEMORY, story, "was killed by the kernel")
    if -status in CRASH_SIGNALS:
        return Death(Cause.CRASH, f"Native code crashed it with {signal}.", f"crashed in native code with {signal}")
    outside = f"was killed from outside with {signal}"
    return Death(Cause.KILLED, f"It {outside}.", outside)


def _signal_name(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"
