"""What to do next, given what every node says. Pure.

The ring that counts is that of the newest generation, and of the most nodes where two claim the same. Nodes that lack
keys of it are caught up first, from the ring of a node that has them, for nobody else does. Only when all that answer
have the same ring does a new key come: while they get it, no two of them are further apart than one rotation, and so
every ticket is still known everywhere.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from workers.tickets.keyring import KEYS, missed


@dataclass(frozen=True, slots=True)
class View:
    """What a node says of itself. `generation` 0 is a ring of its own, `age` for how many seconds it has been there."""

    names: tuple[str, ...]
    size: int
    generation: int
    age: float | None
    running: bool
    token: int
    holder: str
    seen: int


@dataclass(frozen=True, slots=True)
class Fleet:
    """The ring that counts: its generation, its names, and the nodes that have it."""

    generation: int
    names: tuple[str, ...]
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Push the newest keys of `source` to those that lack so many."""

    source: str
    generation: int
    lacking: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Rotate:
    """Push `keys` new keys to all that answer: one, or three where no ring is worth keeping."""

    generation: int
    keys: int


@dataclass(frozen=True, slots=True)
class Done:
    """All that answer have the ring of this generation."""

    generation: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nothing is pushed. `why` says what to do."""

    code: str
    why: str


Step = CatchUp | Rotate | Done | Refuse


@dataclass(frozen=True, slots=True)
class Wish:
    """How far to go. `generation`: rotate until it is reached (None: once more; 0: only catch up).

    `least_age`: seconds that the ring must have been there, so that no ticket is lost that may still come. `replace`:
    three new keys at once, for a key that was seen by others; every ticket is lost.
    """

    generation: int | None = 0
    least_age: float = 0.0
    replace: bool = False


def fleet(views: Mapping[str, View]) -> Fleet | None:
    """The ring that counts; None where every node has one of its own."""
    newest = max((view.generation for view in views.values()), default=0)
    if newest == 0:
        return None
    having = {node: view.names for node, view in views.items() if view.generation == newest}
    names, _count = Counter(having.values()).most_common(1)[0]
    return Fleet(newest, names, tuple(node for node, its in having.items() if its == names))


def lacking(view: View, ring: Fleet) -> int:
    """How many keys a node must be pushed: 0 to 3. One that does not know its generation is told by a push, too."""
    return missed(view.names, ring.names) or int(view.generation != ring.generation)


def spread(views: Mapping[str, View]) -> int:
    """How many rotations the most backward node is behind, 0 to 3 (3: its tickets mean nothing to others)."""
    ring = fleet(views)
    if ring is None:
        return 0 if len({view.names for view in views.values()}) <= 1 else 3
    return max(missed(view.names, ring.names) for view in views.values())


def decide(views: Mapping[str, View], failed: Mapping[str, str], wish: Wish, *, nodes: int) -> Step:
    """The next step for a fleet of so many `nodes`.

    `views` are of those that answer, `failed` says which of these did not do what they were told, and why.
    """
    if not views:
        return Refuse("unreachable", "No node answers. Look at the network, at sshd, and at this host's SSH key.")
    ring = fleet(views)
    if ring and not wish.replace:
        behind = {node: count for node, view in views.items() if (count := lacking(view, ring))}
        due = {node: count for node, count in behind.items() if node not in failed}
        sources = [node for node in ring.nodes if node not in failed]
        if due and sources:
            return CatchUp(sources[0], ring.generation, due)
        if behind:
            return _refuse_for(behind, failed)
        if not _is_due(ring.generation, wish):
            return Done(ring.generation)
        if (age := _age(views, ring)) < wish.least_age:
            return _refuse_soon(age, wish.least_age)
    if failed:
        return _refuse_for(dict.fromkeys(failed, KEYS), failed)
    if 2 * len(views) < nodes:
        return _refuse_few(len(views), nodes)
    newest = max(view.seen for view in views.values())
    return Rotate(max(newest + 1, wish.generation or 0), 1 if ring and not wish.replace else KEYS)


def _is_due(generation: int, wish: Wish) -> bool:
    return wish.generation is None or generation < wish.generation


def _age(views: Mapping[str, View], ring: Fleet) -> float:
    return min((age for node in ring.nodes if (age := views[node].age) is not None), default=0.0)


def _refuse_for(behind: Mapping[str, int], failed: Mapping[str, str]) -> Refuse:
    node = max(behind, key=lambda each: behind[each])
    why = failed.get(node) or "No node gives its keys away."
    return Refuse(
        "behind",
        f"{node} is not brought up to date ({behind[node]} keys behind): {why} No key is rotated, for tickets would be "
        f"lost. Mend it, or take it out: bulkhead tickets retire {node}",
    )


def _refuse_soon(age: float, least: float) -> Refuse:
    return Refuse(
        "too-soon",
        f"The last key came {age:.0f} s ago; another one now would end tickets that are still good. Wait "
        f"{least - age:.0f} s, or say --force.",
    )


def _refuse_few(answering: int, nodes: int) -> Refuse:
    return Refuse(
        "too-few",
        f"Only {answering} of {nodes} nodes answer: perhaps this host is cut off. Mend the network, or take dead nodes "
        f"out: bulkhead tickets retire NODE",
    )
