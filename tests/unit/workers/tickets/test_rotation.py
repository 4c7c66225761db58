"""Decisions for single situations, and simulated fleets whose nodes fail, return and are cut off."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from workers.tickets.keyring import missing_key_count
from workers.tickets.rotation import (
    CatchUp,
    Done,
    NodeStatus,
    Refuse,
    Rotate,
    RotationRequest,
    Step,
    decide,
    fleet_keyring,
    spread,
)

NO_FAILURES: Mapping[str, str] = {}
ROTATE_ONCE = RotationRequest(None)


def status_of(names: str, generation: int, **changes: object) -> NodeStatus:
    status = NodeStatus(
        tuple(names), 80, generation, 100.0, haproxy_running=True, token=1, owner="jump", newest_generation=generation
    )
    return replace(status, **changes)  # type: ignore[arg-type]


def next_step(
    request: RotationRequest, *, failed: Mapping[str, str] = NO_FAILURES, nodes: int = 0, **statuses: NodeStatus
) -> Step:
    return decide(statuses, failed, request, fleet_size=nodes or len(statuses))


def test_given_equal_keyrings_then_one_key_is_pushed_for_the_next_generation() -> None:
    assert next_step(ROTATE_ONCE, a=status_of("xyz", 7), b=status_of("xyz", 7)) == Rotate(8, 1)


def test_given_a_generation_that_is_reached_then_nothing_is_left_to_do() -> None:
    assert next_step(RotationRequest(7), a=status_of("xyz", 7)) == Done(7)
    assert next_step(RotationRequest(8), a=status_of("xyz", 7)) == Rotate(8, 1)
    assert next_step(RotationRequest(12), a=status_of("xyz", 7)) == Rotate(12, 1)
    assert next_step(RotationRequest(), a=status_of("xyz", 7)) == Done(7)


def test_given_nodes_that_are_behind_then_they_are_caught_up_first() -> None:
    step = next_step(
        ROTATE_ONCE, a=status_of("wxy", 6), b=status_of("xyz", 7), c=status_of("pqr", 3), d=status_of("vwx", 5)
    )

    assert step == CatchUp("b", 7, {"a": 1, "c": 3, "d": 2})


def test_given_a_node_that_lost_its_record_then_a_push_restores_its_generation() -> None:
    assert next_step(RotationRequest(), a=status_of("xyz", 0), b=status_of("xyz", 7)) == CatchUp("b", 7, {"a": 1})


def test_given_different_keyrings_of_one_generation_then_that_of_most_nodes_counts() -> None:
    step = next_step(RotationRequest(), a=status_of("xyq", 7), b=status_of("xyz", 7), c=status_of("xyz", 7))

    assert step == CatchUp("b", 7, {"a": 3})


def test_given_a_node_that_cannot_be_caught_up_then_rotation_is_refused_with_advice() -> None:
    step = next_step(ROTATE_ONCE, a=status_of("wxy", 6), b=status_of("xyz", 7), failed={"a": "HAProxy rejected a key."})

    assert step == Refuse(
        "behind",
        "a lacks 1 keys and cannot be updated: HAProxy rejected a key. No key was rotated, because tickets would "
        "become unusable. Repair the node, or remove it: bulkhead tickets retire a",
    )


def test_given_a_source_that_fails_then_another_node_is_the_source() -> None:
    step = next_step(
        RotationRequest(), a=status_of("wxy", 6), b=status_of("xyz", 7), c=status_of("xyz", 7), failed={"b": "no"}
    )

    assert step == CatchUp("c", 7, {"a": 1})


def test_given_nodes_with_their_own_keyrings_then_all_get_a_new_one() -> None:
    assert next_step(RotationRequest(), a=status_of("abc", 0), b=status_of("def", 0, newest_generation=41)) == Rotate(
        42, 3
    )


def test_given_disclosed_keys_then_all_three_are_replaced() -> None:
    assert next_step(
        RotationRequest(None, replace=True), a=status_of("xyz", 7), b=status_of("wxy", 6, newest_generation=7)
    ) == Rotate(8, 3)


def test_given_a_recent_key_then_rotation_is_refused_and_the_text_says_how_long_to_wait() -> None:
    step = next_step(RotationRequest(None, min_age=300), a=status_of("xyz", 7, key_age=20.0), b=status_of("xyz", 7))

    text = "The last key was pushed 20 s ago; another one now would invalidate tickets that are still in use. "
    assert step == Refuse("too-soon", text + "Wait 280 s, or use --force.")


def test_given_less_than_half_of_the_fleet_then_rotation_is_refused() -> None:
    step = next_step(ROTATE_ONCE, a=status_of("xyz", 7), b=status_of("xyz", 7), nodes=5)

    assert isinstance(step, Refuse)
    assert step.reason.startswith("Only 2 of 5 nodes answer; this host may be cut off.")
    assert next_step(ROTATE_ONCE, a=status_of("xyz", 7), nodes=2) == Rotate(8, 1)


def test_given_no_node_then_the_text_says_what_to_check() -> None:
    assert next_step(ROTATE_ONCE, nodes=5) == Refuse(
        "unreachable", "No node answers. Check the network, sshd, and this host's SSH key."
    )


def test_spread_is_the_number_of_rotations_between_nodes() -> None:
    assert spread({"a": status_of("xyz", 7), "b": status_of("xyz", 7)}) == 0
    assert spread({"a": status_of("xyz", 7), "b": status_of("wxy", 6)}) == 1
    assert spread({"a": status_of("xyz", 7), "b": status_of("abc", 0)}) == 3
    assert spread({"a": status_of("abc", 0), "b": status_of("def", 0)}) == 3
    assert spread({}) == 0


@dataclass
class NodeModel:
    """A node's keyring: keys are numbers, and a rebooted node has its own keyring."""

    name: str
    keyring: list[str]
    generation: int = 0
    newest_generation: int = 0
    alive: bool = True
    broken: bool = False  # answers, but rejects keys

    def status(self) -> NodeStatus:
        return replace(
            status_of("", self.generation, newest_generation=self.newest_generation), key_names=tuple(self.keyring)
        )

    def push(self, keys: list[str], generation: int) -> bool:
        if self.broken:
            return False
        self.keyring = (self.keyring + keys)[-3:]
        self.generation, self.newest_generation = generation, max(self.newest_generation, generation)
        return True


class FleetModel:
    """Five nodes, and a rotator that may be killed between any two pushes."""

    def __init__(self) -> None:
        self.key_count = 0
        self.nodes = {name: NodeModel(name, self.new_keys(3)) for name in "abcde"}

    def new_keys(self, count: int) -> list[str]:
        self.key_count += count
        return [f"k{number}" for number in range(self.key_count - count, self.key_count)]

    def run(self, request: RotationRequest, dies_after: int = 10_000) -> Step | None:
        """The rotator's loop. None if it was killed after `dies_after` pushes."""
        failed: dict[str, str] = {}
        pushes = 0
        while True:
            alive = {name: node.status() for name, node in self.nodes.items() if node.alive}
            step = decide(alive, failed, request, fleet_size=5)
            if isinstance(step, Done | Refuse):
                return step
            if isinstance(step, CatchUp):
                keyring = self.nodes[step.source].keyring
                work = {name: keyring[3 - count :] for name, count in step.missing.items()}
            else:
                work = dict.fromkeys(alive, self.new_keys(step.keys))
                request = RotationRequest()
                before = [set(self.nodes[name].keyring) for name in alive]
                assert step.keys == 3 or len({frozenset(names) for names in before}) == 1
            for name, keys in work.items():
                if pushes == dies_after:
                    return None
                pushes += 1
                if not self.nodes[name].push(keys, step.generation):
                    failed[name] = "broken"

    def keyrings(self) -> set[tuple[str, ...]]:
        return {tuple(node.keyring) for node in self.nodes.values()}


events = st.lists(
    st.tuples(
        st.sampled_from(["rotate", "watch", "die", "return", "reboot", "break", "repair"]),
        st.sampled_from("abcde"),
        st.integers(0, 12),
    ),
    max_size=30,
)


@settings(max_examples=300, deadline=None)
@given(events)
def test_given_failures_reboots_and_kills_at_any_push_then_the_next_run_makes_all_keyrings_equal(
    history: list[tuple[str, str, int]],
) -> None:
    fleet = FleetModel()
    for event, name, number in history:
        node = fleet.nodes[name]
        if event == "rotate":
            fleet.run(ROTATE_ONCE, number)
        elif event == "watch":
            fleet.run(RotationRequest(), number)
        elif event == "reboot":
            node.keyring, node.generation, node.alive = fleet.new_keys(3), 0, True
        else:
            node.alive = event == "return" or (event != "die" and node.alive)
            node.broken = event == "break" or (event != "repair" and node.broken)
    for node in fleet.nodes.values():
        node.alive, node.broken = True, False

    assert isinstance(fleet.run(RotationRequest()), Done)

    assert len(fleet.keyrings()) == 1
    assert len(set(next(iter(fleet.keyrings())))) == 3
    before = next(iter(fleet.keyrings()))
    assert isinstance(fleet.run(ROTATE_ONCE), Done)
    assert missing_key_count(before, next(iter(fleet.keyrings()))) == 1


@given(st.integers(0, 5))
def test_given_a_rotation_killed_after_any_push_then_nodes_differ_by_at_most_one_rotation(dies_after: int) -> None:
    fleet = FleetModel()
    fleet.run(ROTATE_ONCE)

    fleet.run(ROTATE_ONCE, dies_after)

    statuses = {name: node.status() for name, node in fleet.nodes.items()}
    assert spread(statuses) <= 1
    assert fleet_keyring(statuses) is not None
    encrypting = {node.keyring[1] for node in fleet.nodes.values()}
    assert all(key in node.keyring for key in encrypting for node in fleet.nodes.values())
