"""Memory counters of both versions of cgroups."""

from pathlib import Path

import pytest

from workers.sandbox.cgroup import CgroupMemory, MemoryPressure, oom_kills, read_memory


def tree(root: Path, proc: str, files: dict[str, str]) -> tuple[Path, Path]:
    """A fake of /proc/self/cgroup and of /sys/fs/cgroup."""
    membership = root / "proc-self-cgroup"
    membership.write_text(proc)
    for name, text in files.items():
        path = root / "sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return membership, root / "sys"


EVENTS = "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n"
CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n"


@pytest.mark.parametrize(
    ("proc", "files", "kills"),
    [
        ("0::/system.slice/bulkhead.service\n", {"system.slice/bulkhead.service/memory.events": EVENTS}, 2),
        ("0::/\n", {"memory.events": EVENTS}, 2),
        ("0::/beyond/the/container\n", {"memory.events": EVENTS}, 2),
        ("9:name=systemd:/\n4:memory:/a/b\n0::/\n", {"memory/a/b/memory.oom_control": CONTROL}, 5),
        ("4:memory:/beyond\n0::/\n", {"memory/memory.oom_control": CONTROL}, 5),
        ("4:memory:/a\n0::/a\n", {"memory/a/memory.oom_control": CONTROL, "unified/a/memory.events": EVENTS}, 5),
        ("0::/a\n", {"unified/a/memory.events": EVENTS}, 2),
        ("4:memory:/a\n", {"memory/a/memory.oom_control": "under_oom 0\n"}, 0),
        ("0::/a:b\n", {"a:b/memory.events": EVENTS}, 2),
        ("0::/a\n", {}, 0),
        ("", {}, 0),
    ],
)
def test_given_any_hierarchy_then_oom_kills_are_read_from_the_cgroup_of_this_process(
    tmp_path: Path, proc: str, files: dict[str, str], kills: int
) -> None:
    assert oom_kills(*tree(tmp_path, proc, files)) == kills


def test_given_a_new_oom_kill_then_the_next_call_counts_it(tmp_path: Path) -> None:
    paths = tree(tmp_path, "0::/a\n", {"a/memory.events": EVENTS})
    assert oom_kills(*paths) == 2

    tree(tmp_path, "0::/a\n", {"a/memory.events": EVENTS.replace("oom_kill 2", "oom_kill 3")})
    assert oom_kills(*paths) == 3


def test_given_this_machine_then_oom_kills_are_a_number() -> None:
    assert oom_kills() >= 0


PSI = "some avg10=1.50 avg60=0.00 avg300=0.00 total=10\nfull avg10=0.25 avg60=0.00 avg300=0.00 total=5\n"


def test_given_version_2_then_all_counters_of_our_cgroup_and_the_smallest_limit_are_read(tmp_path: Path) -> None:
    files = {
        "a/b/memory.current": "4096\n",
        "a/b/memory.peak": "8192\n",
        "a/b/memory.max": "max\n",
        "a/memory.max": "536870912\n",
        "a/b/memory.events": EVENTS,
        "a/b/memory.pressure": PSI,
    }

    assert read_memory(*tree(tmp_path, "0::/a/b\n", files)) == CgroupMemory(
        current=4096,
        peak=8192,
        limit=536_870_912,
        events={"low": 0, "high": 0, "max": 12, "oom": 3, "oom_kill": 2, "oom_group_kill": 0},
        pressure=MemoryPressure(some=1.5, full=0.25),
    )


def test_given_version_1_then_its_events_and_the_pressure_of_the_machine_are_read(tmp_path: Path) -> None:
    files = {
        "memory/a/memory.usage_in_bytes": "4096\n",
        "memory/a/memory.max_usage_in_bytes": "8192\n",
        "memory/a/memory.limit_in_bytes": "9223372036854771712\n",
        "memory/a/memory.oom_control": CONTROL,
        "memory/a/memory.failcnt": "31\n",
        "pressure": PSI,
    }
    proc, root = tree(tmp_path, "4:memory:/a\n0::/\n", files)

    assert read_memory(proc, root, root / "pressure") == CgroupMemory(
        current=4096,
        peak=8192,
        limit=None,
        events={"max": 31, "oom_kill": 5},
        pressure=MemoryPressure(some=1.5, full=0.25),
    )


def test_given_a_kernel_without_peak_or_pressure_then_the_other_counters_are_read(tmp_path: Path) -> None:
    proc, root = tree(tmp_path, "0::/a\n", {"a/memory.current": "4096\n"})

    assert read_memory(proc, root, root / "absent") == CgroupMemory(current=4096)


def test_given_this_machine_then_our_cgroup_uses_memory() -> None:
    assert (read_memory().current or 1) > 0
