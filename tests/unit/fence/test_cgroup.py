"""The kernel's count of processes killed for memory, in both versions of cgroups."""

from pathlib import Path

import pytest

from workers.fence.cgroup import oom_kills


def tree(root: Path, proc: str, files: dict[str, str]) -> tuple[Path, Path]:
    """A sample of /proc/self/cgroup and of /sys/fs/cgroup."""
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
def test_the_count_is_read_wherever_this_process_is_a_member(
    tmp_path: Path, proc: str, files: dict[str, str], kills: int
) -> None:
    assert oom_kills(*tree(tmp_path, proc, files)) == kills


def test_the_count_is_read_anew_every_time(tmp_path: Path) -> None:
    where = tree(tmp_path, "0::/a\n", {"a/memory.events": EVENTS})
    assert oom_kills(*where) == 2

    tree(tmp_path, "0::/a\n", {"a/memory.events": EVENTS.replace("oom_kill 2", "oom_kill 3")})
    assert oom_kills(*where) == 3


def test_on_this_machine_it_is_a_number() -> None:
    assert oom_kills() >= 0
