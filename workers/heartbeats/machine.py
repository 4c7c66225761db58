"""The state of a machine as its beats define it: the latest readings, and totals over all beats.

The state depends on the beats and their order in the stream alone, so a replay gives the same numbers.
"""

from math import inf

from tasks.heartbeats import READINGS, Beat, readings_of

# Sequence numbers below the highest one that are tracked, one bit each, as in the anti-replay window of RFC 4303
# (3.4.3): a beat may arrive this many numbers late and is still counted, once. With the bit of the highest number they
# fill a signed BIGINT.
REPLAY_WINDOW = 62
REPLAY_MASK = (1 << (REPLAY_WINDOW + 1)) - 1


# All values of one reading: count, sum, minimum and maximum. A plain tuple, because a named one takes three times as
# long to create and every beat creates three.
Totals = tuple[int, float, float, float]

EMPTY_TOTALS: Totals = (0, 0.0, inf, -inf)

NO_READINGS = (None,) * len(READINGS)


class Machine:
    """The state of one machine. If it is shared, `copy` it before `fold`.

    `readings` and `totals` are in the order of `tasks.heartbeats.READINGS`.
    """

    __slots__ = ("beats", "machine", "plant", "readings", "seen_at", "seen_mask", "seq", "status", "totals")

    def __init__(self, plant: str, machine: str) -> None:
        self.plant = plant
        self.machine = machine
        self.seen_at = -1.0  # earlier than any beat
        self.status = ""
        self.readings: tuple[float | None, ...] = NO_READINGS
        self.seq = -1
        self.seen_mask = 0
        self.beats = 0
        self.totals: list[Totals] = [EMPTY_TOTALS] * len(READINGS)

    def fold(self, beat: Beat) -> bool:
        """Fold `beat` into the state. False if it was counted before, or is too late to tell."""
        newer = beat.seen_at > self.seen_at or (beat.seen_at == self.seen_at and beat.seq > self.seq)
        ahead = beat.seq - self.seq
        if ahead > 0:
            self.seen_mask = ((self.seen_mask << ahead) | 1) & REPLAY_MASK if ahead <= REPLAY_WINDOW else 1
            self.seq = beat.seq
        elif ahead >= -REPLAY_WINDOW and not self.seen_mask >> -ahead & 1:  # late, but not counted yet
            self.seen_mask |= 1 << -ahead
        elif newer:  # the machine restarted and counts from 0 again: a repeated beat is never newer than itself
            self.seen_mask = 1
            self.seq = beat.seq
        else:
            return False
        readings = readings_of(beat)
        if newer:
            self.seen_at = beat.seen_at
            self.status = beat.status
            self.readings = readings
        self.beats += 1
        totals = self.totals
        for number, value in enumerate(readings):
            if value is not None:
                totals[number] = add_value(totals[number], value)
        return True

    def copy(self) -> "Machine":
        """An independent copy."""
        other = Machine(self.plant, self.machine)
        other.seen_at = self.seen_at
        other.status = self.status
        other.readings = self.readings
        other.seq = self.seq
        other.seen_mask = self.seen_mask
        other.beats = self.beats
        other.totals = self.totals.copy()
        return other


def add_value(totals: Totals, value: float) -> Totals:
    """`totals` with one more value."""
    count, total, low, high = totals
    # min() and max() would take twice the time of everything else here.
    return count + 1, total + value, value if value < low else low, value if value > high else high  # noqa: FURB136
