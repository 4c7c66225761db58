"""The tumbling window: which machines changed since it opened, and when it is to be written.

It holds one state a machine, however many beats come. A machine whose window is being written is copied before it
changes, so a flush and the beats after it do not meet.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from tasks.heartbeats import Beat, is_machine_name
from workers.heartbeats.machine import Machine

# Plants there may be. A publisher could invent them; more than this is no company.
MAX_PLANTS = 1_000

# Names turned away that are remembered, so that a flood of them does not ask the database about each again.
MAX_REJECTED_NAMES = 10_000

# Of machines, by plant, in the order in which they came: so the same ones are let in at a replay.
Names = Mapping[str, Collection[str]]


class Window:
    """Folds beats. Times are seconds; `clock` is monotonic.

    `machines` says how many each plant has in the table; no more than `limit` of a plant are let in. About `memory`
    machines are remembered between windows, those heard last.
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
        self._ends = clock() + seconds
        self._current: defaultdict[str, dict[str, Machine]] = defaultdict(dict)
        self._known: defaultdict[str, dict[str, Machine]] = defaultdict(dict)  # the longest silent first
        self._rejected_names: set[tuple[str, str]] = set()
        self._changes: dict[Machine, float] = {}
        self.counted = 0
        self.rejected: Counter[str] = Counter()

    def fold(self, plant: str, beats: Sequence[Beat], received_at: float) -> list[Beat]:
        """Fold beats received at the time `at`. Returns those of machines that are not known: `learn` them first."""
        known, fresh = self._known.get(plant, {}), self._changes
        current = self._current[plant] if known else {}  # a plant may be invented: nothing of it is kept
        latest = received_at + self._max_clock_skew
        strange = []
        counted = repeated = early = 0
        for beat in beats:
            if beat.seen_at > latest:
                early += 1
                continue
            machine = current.get(beat.machine)
            if machine is None:
                earlier = known.get(beat.machine)
                if earlier is None:
                    strange.append(beat)
                    continue
                machine = current[beat.machine] = earlier.copy()
            if machine.fold(beat):
                counted += 1
                fresh[machine] = received_at
            else:
                repeated += 1
        self.counted += counted
        if repeated or early:
            self.rejected.update(repeated=repeated, future=early)
        return [beat for beat in strange if not self._is_rejected(plant, beat.machine)] if strange else strange

    def add_known(self, requested: Names, found: Iterable[Machine]) -> None:
        """The table was asked about machines and knows those `found`. The others are new, or turned away."""
        for machine in found:
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
        """Whether it is time to write: the window's seconds are over, or it is as large as the memory."""
        return self._clock() >= self._ends or sum(map(len, self._current.values())) >= self._max_cached

    def close(self) -> list[Machine]:
        """The machines that changed, which will not change again. A new window opens.

        The list before must have been written: machines longest silent are forgotten, and asked for when they come
        again.
        """
        changed = [machine for machines in self._current.values() for machine in machines.values()]
        for plant, machines in self._current.items():
            known = self._known[plant]
            for name, machine in machines.items():
                known.pop(name, None)
                known[name] = machine  # at the end
        self._evict(sum(map(len, self._known.values())) - self._max_cached)
        self._current.clear()
        self._ends = self._clock() + self._seconds
        return changed

    def drain_changes(self) -> dict[Machine, float]:
        """Machines with news since the last call, and when they came; to be read before the next beat is folded."""
        changes, self._changes = self._changes, {}
        return changes

    def _may_admit(self, plant: str, name: str) -> bool:
        if not is_machine_name(name):
            return False
        if plant not in self._machine_counts:
            return len(self._machine_counts) < MAX_PLANTS
        return self._machine_counts[plant] < self._machines_per_plant

    def _is_rejected(self, plant: str, name: str) -> bool:
        known = (plant, name) in self._rejected_names
        if known:
            self.rejected["stranger"] += 1
        return known

    def _reject(self, plant: str, name: str) -> None:
        if len(self._rejected_names) >= MAX_REJECTED_NAMES:
            self._rejected_names.clear()
        self._rejected_names.add((plant, name))

    def _evict(self, number: int) -> None:
        for plant, known in self._known.items():
            silent = (name for name in known if name not in self._current[plant])
            for name in [name for name, _ in zip(silent, range(number), strict=False)]:
                del known[name]
                number -= 1
