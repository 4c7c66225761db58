"""One policy for trying again: exponential backoff with full jitter (tenacity).

    for attempt in retrying(on=is_transient, timeout=60):
        with attempt:
            write()

A loop that never ends by itself, such as a supervisor's, asks `Backoff` for its next delay instead.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from logging import WARNING, Logger

from tenacity import (
    RetryCallState,
    Retrying,
    before_sleep_log,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    stop_never,
    wait_random_exponential,
)
from tenacity.stop import stop_base

INITIAL_DELAY = 0.1
MAX_DELAY = 5.0

Predicate = Callable[[BaseException], bool]


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays between attempts, in seconds: each at most twice the one before, none above `maximum`."""

    initial: float = INITIAL_DELAY
    maximum: float = MAX_DELAY

    def delay(self, failures: int) -> float:
        """The delay after so many failures in a row (1 is the first), without jitter."""
        return float(min(self.initial * 2.0 ** min(max(failures - 1, 0), 64), self.maximum))


def retrying(
    *,
    on: type[BaseException] | tuple[type[BaseException], ...] | Predicate,
    timeout: float | None = None,
    attempts: int | None = None,
    backoff: Backoff = Backoff(),
    give_up: Callable[[], bool] | None = None,
    sleep: Callable[[float], object] = time.sleep,
    logger: Logger | None = None,
) -> Retrying:
    """Attempts at one operation until it succeeds; the last error is raised as it is.

    `on` says which errors are worth another attempt. It ends after `timeout` seconds, after so many `attempts`, or as
    soon as `give_up()` is true, whichever comes first. `sleep` may be an event's `wait`, so that a shutdown interrupts
    it. Each delay is random between zero and the backoff's value, so that many callers do not return at once
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """

    def pause(seconds: float) -> None:
        sleep(seconds)

    stop: stop_base = stop_never
    if timeout is not None:
        stop = stop | stop_after_delay(timeout)
    if attempts is not None:
        stop = stop | stop_after_attempt(attempts)
    if give_up is not None:
        stop = stop | _StopWhen(give_up)
    should_retry = retry_if_exception(on if not isinstance(on, (type, tuple)) else lambda error: isinstance(error, on))
    return Retrying(
        sleep=pause,
        stop=stop,
        wait=wait_random_exponential(multiplier=backoff.initial, max=backoff.maximum),
        retry=should_retry,
        before_sleep=before_sleep_log(logger, WARNING) if logger else None,
        reraise=True,
    )


class _StopWhen(stop_base):
    def __init__(self, give_up: Callable[[], bool]) -> None:
        self._give_up = give_up

    def __call__(self, retry_state: RetryCallState) -> bool:  # noqa: ARG002
        return self._give_up()
