"""What to do next, given what every node says. Pure.

The ring that counts is that of the newest generation, and of the most nodes where two claim the same. Nodes that lack
keys of it are caught up first, from the ring of a node that has them, for nobody else does. Only when all that answer
have the same ring does a new key come: while they get it, no two of them are further apart than one rotation, and so
every ticket is still known everywhere.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from workers.tickets.keyring import KEY_COUNT, missing_key_count


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What a node says of itself. `generation` 0 is a ring of its own, `age` for how many seconds it has been there."""

    key_names: tuple[str, ...]
    key_size: int
    generation: int
    key_age: float | None
    haproxy_running: bool
    token: int
    owner: str
    newest_generation: int


@dataclass(frozen=True, slots=True)
class FleetKeyring:
    """The ring that counts: its generation, its names, and the nodes that have it."""

    generation: int
    key_names: tuple[str, ...]
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Push the newest keys of `source` to those that lack so many."""

    source: str
    generation: int
    missing: Mapping[str, int]


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
    reason: str


Step = CatchUp | Rotate | Done | Refuse


@dataclass(frozen=True, slots=True)
class RotationRequest:
    """How far to go. `generation`: rotate until it is reached (None: once more; 0: only catch up).

    `least_age`: seconds that the ring must have been there, so that no ticket is lost that may still come. `replace`:
    three new keys at once, for a key that was seen by others; every ticket is lost.
    """

    generation: int | None = 0
    min_age: float = 0.0
    replace: bool = False


def fleet_keyring(statuses: Mapping[str, NodeStatus]) -> FleetKeyring | None:
    """The ring that counts; None where every node has one of its own."""
    newest = max((view.generation for view in statuses.values()), default=0)
    if newest == 0:
        return None
    having = {node: view.key_names for node, view in statuses.items() if view.generation == newest}
    names, _count = Counter(having.values()).most_common(1)[0]
    return FleetKeyring(newest, names, tuple(node for node, its in having.items() if its == names))


def missing_keys(status: NodeStatus, keyring: FleetKeyring) -> int:
    """How many keys a node must be pushed: 0 to 3. One that does not know its generation is told by a push, too."""
    return missing_key_count(status.key_names, keyring.key_names) or int(status.generation != keyring.generation)


def spread(statuses: Mapping[str, NodeStatus]) -> int:
    """How many rotations the most backward node is behind, 0 to 3 (3: its tickets mean nothing to others)."""
    ring = fleet_keyring(statuses)
    if ring is None:
        return 0 if len({view.key_names for view in statuses.values()}) <= 1 else 3
    return max(missing_key_count(view.key_names, ring.key_names) for view in statuses.values())


def decide(
    statuses: Mapping[str, NodeStatus], failed: Mapping[str, str], request: RotationRequest, *, fleet_size: int
) -> Step:
    """The next step for a fleet of so many `nodes`.

    `views` are of those that answer, `failed` says which of these did not do what they were told, and why.
    """
    if not statuses:
        return Refuse("unreachable", "No node answers. Look at the network, at sshd, and at this host's SSH key.")
    ring = fleet_keyring(statuses)
    if ring and not request.replace:
        behind = {node: count for node, view in statuses.items() if (count := missing_keys(view, ring))}
        due = {node: count for node, count in behind.items() if node not in failed}
        sources = [node for node in ring.nodes if node not in failed]
        if due and sources:
            return CatchUp(sources[0], ring.generation, due)
        if behind:
            return _refuse_behind(behind, failed)
        if not _is_due(ring.generation, request):
            return Done(ring.generation)
        if (age := _key_age(statuses, ring)) < request.min_age:
            return _refuse_too_soon(age, request.min_age)
    if failed:
        return _refuse_behind(dict.fromkeys(failed, KEY_COUNT), failed)
    if 2 * len(statuses) < fleet_size:
        return _refuse_no_quorum(len(statuses), fleet_size)
    newest = max(view.newest_generation for view in statuses.values())
    return Rotate(max(newest + 1, request.generation or 0), 1 if ring and not request.replace else KEY_COUNT)


def _is_due(generation: int, request: RotationRequest) -> bool:
    return request.generation is None or generation < request.generation


def _key_age(statuses: Mapping[str, NodeStatus], keyring: FleetKeyring) -> float:
    return min((age for node in keyring.nodes if (age := statuses[node].key_age) is not None), default=0.0)


def _refuse_behind(behind: Mapping[str, int], failed: Mapping[str, str]) -> Refuse:
    node = max(behind, key=lambda each: behind[each])
    why = failed.get(node) or "No node gives its keys away."
    return Refuse(
        "behind",
        f"{node} is not brought up to date ({behind[node]} keys behind): {why} No key is rotated, for tickets would be "
        f"lost. Mend it, or take it out: bulkhead tickets retire {node}",
    )


def _refuse_too_soon(age: float, min_age: float) -> Refuse:
    return Refuse(
        "too-soon",
        f"The last key came {age:.0f} s ago; another one now would end tickets that are still good. Wait "
        f"{min_age - age:.0f} s, or say --force.",
    )


def _refuse_no_quorum(answering: int, fleet_size: int) -> Refuse:
    return Refuse(
        "too-few",
        f"Only {answering} of {fleet_size} nodes answer: perhaps this host is cut off. Mend the network, or take dead nodes "
        f"out: bulkhead tickets retire NODE",
    )
