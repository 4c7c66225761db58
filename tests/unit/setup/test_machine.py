"""The verdict on a storm of memory bombs in the virtual machine."""

from dataclasses import replace
from typing import Any

from tests.machine.verdict import judge_jobs, judge_kills, judge_workers
from tests.machine.workers import WorkerState, is_leaf, parse_limits, parse_state

UNIT = "/bulkhead.slice/bulkhead-render@1.service"
LEAF = f"{UNIT}/render-7"

STATE = WorkerState(
    unit="bulkhead-render@1",
    active="active",
    main_pid=425,
    restarts=0,
    children=(595,),
    oom_group=1,
    oom_kills=3,
    group_kills=0,
)

OUTPUT = """ActiveState=active
MainPID=425
NRestarts=0
children=595
oom_group=1
oom_kills=3
group_kills=0
"""

KERNEL_LOG = f"""python invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg={LEAF},task_memcg={LEAF},task=python,pid=9,uid=9
Memory cgroup out of memory: Killed process 9 (python) total-vm:1kB
oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg={UNIT},task=python,pid=8,uid=9
"""


def attempt(cause: str | None, kills: int = 1, number: int = 1) -> dict[str, Any]:
    """An attempt as `GET /renders/{id}` has it."""
    return {
        "number": number,
        "outcome": "crashed" if cause else "succeeded",
        "cause": cause,
        "explanation": None,
        "facts": {"cgroup": {"events": {"oom_kill": kills}}},
    }


def bomb(*causes: str, kills: int = 1, state: str = "dead") -> dict[str, Any]:
    return {"state": state, "attempts": [attempt(cause, kills, n) for n, cause in enumerate(causes, 1)]}


GOOD = {"state": "succeeded", "attempts": [attempt(None)]}
DEAD = bomb("out-of-memory", "out-of-memory", "out-of-memory")


def test_given_output_of_the_commands_when_it_is_parsed_then_the_state_of_the_unit_is_complete() -> None:
    assert parse_state("bulkhead-render@1", OUTPUT) == STATE


def test_given_a_kernel_without_a_count_of_group_kills_when_the_output_is_parsed_then_there_are_none() -> None:
    assert parse_state("bulkhead-render@1", OUTPUT.replace("group_kills=0", "group_kills=")).group_kills == 0


def test_given_a_kernel_log_then_only_kills_at_a_limit_of_a_cgroup_are_listed() -> None:
    assert parse_limits(KERNEL_LOG) == [LEAF]


def test_given_a_cgroup_then_only_those_below_a_unit_are_leaves() -> None:
    assert is_leaf(LEAF)
    assert not is_leaf(UNIT)
    assert not is_leaf("/bulkhead.slice")


def test_given_dead_bombs_and_succeeded_jobs_then_there_is_no_violation() -> None:
    assert judge_jobs({"a": GOOD, "b": DEAD}, frozenset({"b"})) == []


def test_given_jobs_with_a_wrong_end_then_each_is_a_violation() -> None:
    wrong = {
        "good": DEAD,
        "retried": {"state": "succeeded", "attempts": [attempt("worker-lost"), attempt(None)]},
        "survived": GOOD,
        "twice": bomb("out-of-memory", "out-of-memory"),
        "other": bomb("out-of-memory", "crashed", "out-of-memory"),
        "many": bomb(*["out-of-memory"] * 4),
        "unproven": bomb(*["out-of-memory"] * 3, kills=0),
    }

    violations = judge_jobs(wrong, frozenset(wrong) - {"good", "retried"})

    assert {violation.split(" is ")[0].split(" has ")[0].split()[-1] for violation in violations} == set(wrong)


def test_given_the_same_processes_then_there_is_no_violation() -> None:
    assert judge_workers([STATE], [replace(STATE, oom_kills=63)]) == []


def test_given_another_process_a_restart_or_a_kill_of_the_group_then_each_is_a_violation() -> None:
    for change in ({"active": "failed"}, {"main_pid": 9}, {"restarts": 1}, {"children": (9,)}, {"group_kills": 1}):
        assert len(judge_workers([STATE], [replace(STATE, **change)])) == 1


def test_given_three_kills_of_each_bomb_in_leaves_then_there_is_no_violation() -> None:
    assert judge_kills([LEAF] * 6, 6, bombs=2) == []


def test_given_a_kill_at_the_limit_of_the_unit_or_a_wrong_number_of_kills_then_it_is_a_violation() -> None:
    assert judge_kills([LEAF, LEAF, UNIT], 3, bombs=1) == [f"the limit of {UNIT} was hit, which is no leaf of a render"]
    assert len(judge_kills([LEAF] * 2, 4, bombs=1)) == 2
