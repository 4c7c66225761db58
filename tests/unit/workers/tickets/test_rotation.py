"""What is pushed where: decisions alone, and whole fleets that die, come back and are cut off."""

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

NEVER_FAILED: Mapping[str, str] = {}
ONCE_MORE = RotationRequest(None)


def view(names: str, generation: int, **changes: object) -> NodeStatus:
    plain = NodeStatus(
        tuple(names), 80, generation, 100.0, haproxy_running=True, token=1, owner="jump", newest_generation=generation
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def next_step(
    wish: RotationRequest, *, failed: Mapping[str, str] = NEVER_FAILED, nodes: int = 0, **views: NodeStatus
) -> Step:
    return decide(views, failed, wish, fleet_size=nodes or len(views))


def test_given_equal_rings_then_one_key_is_pushed_to_make_the_next_generation() -> None:
    assert next_step(ONCE_MORE, a=view("xyz", 7), b=view("xyz", 7)) == Rotate(8, 1)


def test_given_a_generation_that_is_reached_then_nothing_is_to_do() -> None:
    assert next_step(RotationRequest(7), a=view("xyz", 7)) == Done(7)
    assert next_step(RotationRequest(8), a=view("xyz", 7)) == Rotate(8, 1)
    assert next_step(RotationRequest(12), a=view("xyz", 7)) == Rotate(12, 1)
    assert next_step(RotationRequest(), a=view("xyz", 7)) == Done(7)


def test_given_nodes_behind_then_they_are_caught_up_first_from_one_that_is_not() -> None:
    step = next_step(ONCE_MORE, a=view("wxy", 6), b=view("xyz", 7), c=view("pqr", 3), d=view("vwx", 5))

    assert step == CatchUp("b", 7, {"a": 1, "c": 3, "d": 2})


def test_given_a_node_that_lost_its_record_then_a_push_tells_it_its_generation() -> None:
    assert next_step(RotationRequest(), a=view("xyz", 0), b=view("xyz", 7)) == CatchUp("b", 7, {"a": 1})


def test_given_rings_of_one_generation_that_differ_then_that_of_more_nodes_counts() -> None:
    step = next_step(RotationRequest(), a=view("xyq", 7), b=view("xyz", 7), c=view("xyz", 7))

    assert step == CatchUp("b", 7, {"a": 3})


def test_given_a_node_that_cannot_be_caught_up_then_no_key_is_rotated_and_the_text_says_what_to_do() -> None:
    step = next_step(ONCE_MORE, a=view("wxy", 6), b=view("xyz", 7), failed={"a": "HAProxy did not take a key."})

    assert step == Refuse(
        "behind",
        "a is not brought up to date (1 keys behind): HAProxy did not take a key. No key is rotated, for tickets would "
        "be lost. Mend it, or take it out: bulkhead tickets retire a",
    )


def test_given_a_source_that_gives_nothing_away_then_another_one_is_asked() -> None:
    step = next_step(RotationRequest(), a=view("wxy", 6), b=view("xyz", 7), c=view("xyz", 7), failed={"b": "no"})

    assert step == CatchUp("c", 7, {"a": 1})


def test_given_nodes_with_rings_of_their_own_then_all_get_a_new_one() -> None:
    assert next_step(RotationRequest(), a=view("abc", 0), b=view("def", 0, seen=41)) == Rotate(42, 3)


def test_given_exposed_keys_then_all_three_are_replaced() -> None:
    assert next_step(RotationRequest(None, replace=True), a=view("xyz", 7), b=view("wxy", 6, seen=7)) == Rotate(8, 3)


def test_given_a_ring_that_is_too_young_then_it_is_left_alone_and_the_text_says_for_how_long() -> None:
    step = next_step(RotationRequest(None, min_age=300), a=view("xyz", 7, age=20.0), b=view("xyz", 7))

    said = "The last key came 20 s ago; another one now would end tickets that are still good. "
    assert step == Refuse("too-soon", said + "Wait 280 s, or say --force.")


def test_given_less_than_half_of_the_fleet_then_no_key_is_made_for_it_may_be_us_who_are_cut_off() -> None:
    step = next_step(ONCE_MORE, a=view("xyz", 7), b=view("xyz", 7), nodes=5)

    assert isinstance(step, Refuse)
    assert step.reason.startswith("Only 2 of 5 nodes answer: perhaps this host is cut off.")
    assert next_step(ONCE_MORE, a=view("xyz", 7), nodes=2) == Rotate(8, 1)


def test_given_no_node_then_the_text_says_where_to_look() -> None:
    assert next_step(ONCE_MORE, nodes=5) == Refuse(
        "unreachable", "No node answers. Look at the network, at sshd, and at this host's SSH key."
    )


def test_spread_counts_rotations_between_nodes() -> None:
    assert spread({"a": view("xyz", 7), "b": view("xyz", 7)}) == 0
    assert spread({"a": view("xyz", 7), "b": view("wxy", 6)}) == 1
    assert spread({"a": view("xyz", 7), "b": view("abc", 0)}) == 3
    assert spread({"a": view("abc", 0), "b": view("def", 0)}) == 3
    assert spread({}) == 0


@dataclass
class Model:
    """A node as far as rings go: keys are numbers, a rebooted node has a ring of its own."""

    name: str
    ring: list[str]
    generation: int = 0
    seen: int = 0
    alive: bool = True
    broken: bool = False  # answers, but takes no key

    def view(self) -> NodeStatus:
        return replace(view("", self.generation, seen=self.seen), key_names=tuple(self.ring))

    def push(self, keys: list[str], generation: int) -> bool:
        if self.broken:
            return False
        self.ring = (self.ring + keys)[-3:]
        self.generation, self.seen = generation, max(self.seen, generation)
        return True


class World:
    """Five nodes, and a rotator that may be killed between any two pushes."""

    def __init__(self) -> None:
        self.made = 0
        self.nodes = {name: Model(name, self.fresh(3)) for name in "abcde"}

    def fresh(self, count: int) -> list[str]:
        self.made += count
        return [f"k{number}" for number in range(self.made - count, self.made)]

    def run(self, wish: RotationRequest, dies_after: int = 10_000) -> Step | None:
        """The rotator's loop; None if it was killed after so many pushes."""
        failed: dict[str, str] = {}
        pushes = 0
        while True:
            alive = {name: node.view() for name, node in self.nodes.items() if node.alive}
            step = decide(alive, failed, wish, fleet_size=5)
            if isinstance(step, Done | Refuse):
                return step
            if isinstance(step, CatchUp):
                ring = self.nodes[step.source].ring
                work = {name: ring[3 - count :] for name, count in step.missing.items()}
            else:
                work = dict.fromkeys(alive, self.fresh(step.keys))
                wish = RotationRequest()
                before = [set(self.nodes[name].ring) for name in alive]
                assert step.keys == 3 or len({frozenset(ring) for ring in before}) == 1
            for name, keys in work.items():
                if pushes == dies_after:
                    return None
                pushes += 1
                if not self.nodes[name].push(keys, step.generation):
                    failed[name] = "broken"

    def rings(self) -> set[tuple[str, ...]]:
        return {tuple(node.ring) for node in self.nodes.values()}


events = st.lists(
    st.tuples(
        st.sampled_from(["rotate", "watch", "die", "return", "reboot", "break", "mend"]),
        st.sampled_from("abcde"),
        st.integers(0, 12),
    ),
    max_size=30,
)


@settings(max_examples=300, deadline=None)
@given(events)
def test_given_deaths_reboots_and_kills_at_any_push_then_the_next_run_makes_all_rings_equal(
    happened: list[tuple[str, str, int]],
) -> None:
    world = World()
    for event, name, number in happened:
        node = world.nodes[name]
        if event == "rotate":
            world.run(ONCE_MORE, number)
        elif event == "watch":
            world.run(RotationRequest(), number)
        elif event == "reboot":
            node.ring, node.generation, node.alive = world.fresh(3), 0, True
        else:
            node.alive = event == "return" or (event != "die" and node.alive)
            node.broken = event == "break" or (event != "mend" and node.broken)
    for node in world.nodes.values():
        node.alive, node.broken = True, False

    assert isinstance(world.run(RotationRequest()), Done)

    assert len(world.rings()) == 1
    assert len(set(next(iter(world.rings())))) == 3
    before = next(iter(world.rings()))
    assert isinstance(world.run(ONCE_MORE), Done)
    assert missing_key_count(before, next(iter(world.rings()))) == 1


@given(st.integers(0, 5))
def test_given_a_rotation_killed_after_any_push_then_no_two_nodes_are_further_apart_than_one(dies_after: int) -> None:
    world = World()
    world.run(ONCE_MORE)

    world.run(ONCE_MORE, dies_after)

    views = {name: node.view() for name, node in world.nodes.items()}
    assert spread(views) <= 1
    ring = fleet_keyring(views)
    assert ring is not None
    encrypting = {node.ring[1] for node in world.nodes.values()}
    assert all(key in node.ring for key in encrypting for node in world.nodes.values())
