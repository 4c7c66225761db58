"""Decides the next step of a rotation from the status of every node. Pure functions.

The fleet's keyring is that of the newest generation; if nodes of that generation differ, the keyring of most of them.
Nodes that lack some of its keys are caught up first, from a node that has them, because no other copy exists. Only when
all nodes that answer have the same keyring is a new key pushed. While it is distributed, no two of them differ by more
than one rotation, so every ticket is accepted everywhere.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from workers.tickets.keyring import KEY_COUNT, missing_key_count


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """The status that a node reports. `generation` 0 means that it generated its keyring itself.

    `key_age` is the number of seconds since the keyring arrived.
    """

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
    """The fleet's keyring: its generation, its key names, and the nodes that have it."""

    generation: int
    key_names: tuple[str, ...]
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Push the newest keys of `source` to the nodes that lack so many of them."""

    source: str
    generation: int
    missing: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Rotate:
    """Push `keys` new keys to all nodes that answer: one, or three if no keyring is worth keeping."""

    generation: int
    keys: int


@dataclass(frozen=True, slots=True)
class Done:
    """All nodes that answer have the keyring of this generation."""

    generation: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """Push nothing. `reason` says what to do."""

    code: str
    reason: str


Step = CatchUp | Rotate | Done | Refuse


@dataclass(frozen=True, slots=True)
class RotationRequest:
    """What a run should achieve. `generation`: rotate until it is reached (None: once; 0: only catch up).

    `min_age`: seconds since the last rotation, so that no valid ticket is lost. `replace`: push three new keys at once,
    because a key was disclosed; all tickets are lost.
    """

    generation: int | None = 0
    min_age: float = 0.0
    replace: bool = False


def fleet_keyring(statuses: Mapping[str, NodeStatus]) -> FleetKeyring | None:
    """The fleet's keyring; None if every node generated its own."""
    newest = max((status.generation for status in statuses.values()), default=0)
    if newest == 0:
        return None
    candidates = {node: status.key_names for node, status in statuses.items() if status.generation == newest}
    key_names, _count = Counter(candidates.values()).most_common(1)[0]
    return FleetKeyring(newest, key_names, tuple(node for node, names in candidates.items() if names == key_names))


def missing_keys(status: NodeStatus, keyring: FleetKeyring) -> int:
    """How many keys must be pushed to a node: 0 to 3. At least one if it does not know the generation of its keys."""
    return missing_key_count(status.key_names, keyring.key_names) or int(status.generation != keyring.generation)


def spread(statuses: Mapping[str, NodeStatus]) -> int:
    """How many rotations the last node is behind, 0 to 3 (3: no other node accepts its tickets)."""
    keyring = fleet_keyring(statuses)
    if keyring is None:
        return 0 if len({status.key_names for status in statuses.values()}) <= 1 else 3
    return max(missing_key_count(status.key_names, keyring.key_names) for status in statuses.values())


def decide(
    statuses: Mapping[str, NodeStatus], failed: Mapping[str, str], request: RotationRequest, *, fleet_size: int
) -> Step:
    """The next step for a fleet of `fleet_size` nodes.

    `statuses` are of the nodes that answer. `failed` holds those of them that did not do what they were told, and the
    reasons.
    """
    if not statuses:
        return Refuse("unreachable", "No node answers. Check the network, sshd, and this host's SSH key.")
    keyring = fleet_keyring(statuses)
    if keyring and not request.replace:
        behind = {node: count for node, status in statuses.items() if (count := missing_keys(status, keyring))}
        pending = {node: count for node, count in behind.items() if node not in failed}
        sources = [node for node in keyring.nodes if node not in failed]
        if pending and sources:
            return CatchUp(sources[0], keyring.generation, pending)
        if behind:
            return _refuse_behind(behind, failed)
        if not _is_due(keyring.generation, request):
            return Done(keyring.generation)
        if (age := _key_age(statuses, keyring)) < request.min_age:
            return _refuse_too_soon(age, request.min_age)
    if failed:
        return _refuse_behind(dict.fromkeys(failed, KEY_COUNT), failed)
    if 2 * len(statuses) < fleet_size:
        return _refuse_no_quorum(len(statuses), fleet_size)
    newest = max(status.newest_generation for status in statuses.values())
    return Rotate(max(newest + 1, request.generation or 0), 1 if keyring and not request.replace else KEY_COUNT)


def _is_due(generation: int, request: RotationRequest) -> bool:
    return request.generation is None or generation < request.generation


def _key_age(statuses: Mapping[str, NodeStatus], keyring: FleetKeyring) -> float:
    return min((age for node in keyring.nodes if (age := statuses[node].key_age) is not None), default=0.0)


def _refuse_behind(behind: Mapping[str, int], failed: Mapping[str, str]) -> Refuse:
    node = max(behind, key=lambda each: behind[each])
    reason = failed.get(node) or "No node returned its keys."
    return Refuse(
        "behind",
        f"{node} lacks {behind[node]} keys and cannot be updated: {reason} No key was rotated, because tickets would "
        f"become unusable. Repair the node, or remove it: bulkhead tickets retire {node}",
    )


def _refuse_too_soon(age: float, min_age: float) -> Refuse:
    return Refuse(
        "too-soon",
        f"The last key was pushed {age:.0f} s ago; another one now would invalidate tickets that are still in use. "
        f"Wait {min_age - age:.0f} s, or use --force.",
    )


def _refuse_no_quorum(answering: int, fleet_size: int) -> Refuse:
    return Refuse(
        "no-quorum",
        f"Only {answering} of {fleet_size} nodes answer; this host may be cut off. Repair the network, or remove dead "
        f"nodes: bulkhead tickets retire NODE",
    )
