"""The state of a machine as its beats define it: the latest readings, and totals over all beats.

The state depends on the beats and their order in the stream alone, so a replay gives the same numbers.
"""

from math import inf

from tasks.heartbeats import Beat

# Sequence numbers below the highest one that are tracked, one bit each, as in the anti-replay window of RFC 4303
# (3.4.3): a beat may arrive this many numbers late and is still counted, once. With the bit of the highest number they
# fill a signed BIGINT.
REPLAY_WINDOW = 62
REPLAY_MASK = (1 << (REPLAY_WINDOW + 1)) - 1


# All values of one reading: count, sum, minimum and maximum. A plain tuple, because a named one takes three times as
# long to create and every beat creates three.
Totals = tuple[int, float, float, float]

EMPTY_TOTALS: Totals = (0, 0.0, inf, -inf)


class Machine:
    """The state of one machine. If it is shared, `copy` it before `fold`."""

    __slots__ = (
        "beats",
        "machine",
        "plant",
        "rpm",
        "rpm_totals",
        "seen_at",
        "seen_mask",
        "seq",
        "status",
        "temperature_c",
        "temperature_c_totals",
        "vibration_mm_s",
        "vibration_mm_s_totals",
    )

    def __init__(self, plant: str, machine: str) -> None:
        self.plant = plant
        self.machine = machine
        self.seen_at = -1.0  # earlier than any beat
        self.status = ""
        self.rpm: float | None = None
        self.temperature_c: float | None = None
        self.vibration_mm_s: float | None = None
        self.seq = -1
        self.seen_mask = 0
        self.beats = 0
        self.rpm_totals = EMPTY_TOTALS
        self.temperature_c_totals = EMPTY_TOTALS
        self.vibration_mm_s_totals = EMPTY_TOTALS

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
        if newer:
            self.seen_at = beat.seen_at
            self.status = beat.status
            self.rpm = beat.rpm
            self.temperature_c = beat.temperature_c
            self.vibration_mm_s = beat.vibration_mm_s
        self.beats += 1
        if beat.rpm is not None:
            self.rpm_totals = add_value(self.rpm_totals, beat.rpm)
        if beat.temperature_c is not None:
            self.temperature_c_totals = add_value(self.temperature_c_totals, beat.temperature_c)
        if beat.vibration_mm_s is not None:
            self.vibration_mm_s_totals = add_value(self.vibration_mm_s_totals, beat.vibration_mm_s)
        return True

    def copy(self) -> "Machine":
        """An independent copy."""
        other = Machine(self.plant, self.machine)
        other.seen_at = self.seen_at
        other.status = self.status
        other.rpm = self.rpm
        other.temperature_c = self.temperature_c
        other.vibration_mm_s = self.vibration_mm_s
        other.seq = self.seq
        other.seen_mask = self.seen_mask
        other.beats = self.beats
        other.rpm_totals = self.rpm_totals
        other.temperature_c_totals = self.temperature_c_totals
        other.vibration_mm_s_totals = self.vibration_mm_s_totals
        return other


def add_value(totals: Totals, value: float) -> Totals:
    """`totals` with one more value."""
    count, total, low, high = totals
    # min() and max() would take twice the time of everything else here.
    return count + 1, total + value, value if value < low else low, value if value > high else high  # noqa: FURB136
