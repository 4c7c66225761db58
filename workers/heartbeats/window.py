"""The tumbling window: the machines that changed since it opened, and the time at which it must be written.

It holds one state a machine, however many beats arrive. A machine whose window is being written is copied before it
changes, so later beats do not alter a flush in progress.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from tasks.heartbeats import Beat, is_machine_name
from workers.heartbeats.machine import Machine

# Limit of plants, because a publisher could invent any number of them.
MAX_PLANTS = 1_000

# Rejected names that are remembered, so that a flood of them does not query the database for each one again.
MAX_REJECTED_NAMES = 10_000

# Machine names by plant, in the order in which they arrived, so that a replay admits the same machines.
Names = Mapping[str, Collection[str]]


class Window:
    """Folds beats. Times are in seconds; `clock` is monotonic.

    `machine_counts` is the number of machines that each plant has in the table; at most `machines_per_plant` are
    admitted. About `max_cached` machines, those with the latest beats, are kept between windows.
    """

    def __init__(
        self,
        *,
        seconds: float,
        machines_per_plant: int,
        max_cached: int,
        max_clock_skew: float,
        machine_counts: Mapping[str, int],
        clock: Callable[[], float],
    ) -> None:
        self._seconds = seconds
        self._machines_per_plant = machines_per_plant
        self._max_cached = max_cached
        self._max_clock_skew = max_clock_skew
        self._machine_counts = Counter(machine_counts)
        self._clock = clock
        self._ends_at = clock() + seconds
        self._current: defaultdict[str, dict[str, Machine]] = defaultdict(dict)
        self._known: defaultdict[str, dict[str, Machine]] = defaultdict(dict)  # longest silent first
        self._rejected_names: set[tuple[str, str]] = set()
        self._changes: dict[Machine, float] = {}
        self.counted = 0
        self.rejected: Counter[str] = Counter()

    def fold(self, plant: str, beats: Sequence[Beat], received_at: float) -> list[Beat]:
        """Fold beats. Returns those of machines that are not known: look them up and call `add_known` first."""
        known, changes = self._known.get(plant, {}), self._changes
        current = self._current[plant] if known else {}  # the plant may be invented, so no entry is made for it
        latest = received_at + self._max_clock_skew
        unknown = []
        counted = duplicates = ahead = 0
        for beat in beats:
            if beat.seen_at > latest:
                ahead += 1
                continue
            machine = current.get(beat.machine)
            if machine is None:
                earlier = known.get(beat.machine)
                if earlier is None:
                    unknown.append(beat)
                    continue
                machine = current[beat.machine] = earlier.copy()
            if machine.fold(beat):
                counted += 1
                changes[machine] = received_at
            else:
                duplicates += 1
        self.counted += counted
        if duplicates or ahead:
            self.rejected.update({"duplicate": duplicates, "clock-skew": ahead})
        return [beat for beat in unknown if not self._is_rejected(plant, beat.machine)] if unknown else unknown

    def add_known(self, requested: Names, stored: Iterable[Machine]) -> None:
        """Add the `requested` machines, of which the table has those in `stored`. The others are new, or rejected."""
        for machine in stored:
            self._known[machine.plant][machine.machine] = machine
        for plant, names in requested.items():
            for name in names:
                if name in self._known.get(plant, ()):
                    continue
                if self._may_admit(plant, name):
                    self._machine_counts[plant] += 1
                    self._known[plant][name] = Machine(plant, name)
                else:
                    self._reject(plant, name)

    def is_due(self) -> bool:
        """Whether it must be written: its time is over, or it holds as many machines as may be cached."""
        return self._clock() >= self._ends_at or sum(map(len, self._current.values())) >= self._max_cached

    def close(self) -> list[Machine]:
        """Open a new window. Returns the machines that changed in the old one, which will not change again.

        The machines of the previous call must have been written: the machines that were silent longest are evicted
        here, and loaded from the table when they send beats again.
        """
        changed = [machine for machines in self._current.values() for machine in machines.values()]
        for plant, machines in self._current.items():
            known = self._known[plant]
            for name, machine in machines.items():
                known.pop(name, None)
                known[name] = machine  # moves to the end
        self._evict(sum(map(len, self._known.values())) - self._max_cached)
        self._current.clear()
        self._ends_at = self._clock() + self._seconds
        return changed

    def drain_changes(self) -> dict[Machine, float]:
        """Machines that changed since the last call, and when. Use them before the next beat is folded."""
        changes, self._changes = self._changes, {}
        return changes

    def _may_admit(self, plant: str, name: str) -> bool:
        if not is_machine_name(name):
            return False
        if plant not in self._machine_counts:
            return len(self._machine_counts) < MAX_PLANTS
        return self._machine_counts[plant] < self._machines_per_plant

    def _is_rejected(self, plant: str, name: str) -> bool:
        is_rejected = (plant, name) in self._rejected_names
        if is_rejected:
            self.rejected["unknown-machine"] += 1
        return is_rejected

    def _reject(self, plant: str, name: str) -> None:
        if len(self._rejected_names) >= MAX_REJECTED_NAMES:
            self._rejected_names.clear()
        self._rejected_names.add((plant, name))

    def _evict(self, count: int) -> None:
        for plant, known in self._known.items():
            silent = (name for name in known if name not in self._current[plant])
            for name in [name for name, _ in zip(silent, range(count), strict=False)]:
                del known[name]
                count -= 1
