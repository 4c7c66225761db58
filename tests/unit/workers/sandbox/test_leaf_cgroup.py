"""Where a cgroup of our own can be made, and what is left where it cannot."""

from pathlib import Path

from workers.sandbox.leaf_cgroup import Cgroup, leaf_cgroup

VERSION_2 = "0::/user.slice/app.scope\n"
VERSION_1 = "5:cpu:/\n4:memory:/docker/abc\n0::/\n"


def test_given_hierarchies_without_a_memory_controller_then_there_is_no_cell_and_nothing_is_left(
    tmp_path: Path,
) -> None:
    for number, text in enumerate((VERSION_1, VERSION_2)):
        root = tmp_path / str(number)
        for folder in ("memory/docker/abc", "user.slice/app.scope"):
            (root / folder).mkdir(parents=True)
        before = sorted(root.rglob("*"))
        proc = tmp_path / "cgroup"
        proc.write_text(text)
        with leaf_cgroup(2**28, proc=proc, root=root) as made:
            assert made is None
        assert sorted(root.rglob("*")) == before


def test_given_no_cgroup_file_system_then_there_is_no_cell(tmp_path: Path) -> None:
    proc = tmp_path / "cgroup"
    proc.write_text(VERSION_2)
    with leaf_cgroup(2**28, proc=proc, root=tmp_path / "absent") as made:
        assert made is None


def test_given_a_cell_that_lets_nobody_in_then_admitting_says_so(tmp_path: Path) -> None:
    assert not Cgroup(tmp_path / "absent", "memory.events").add(1)


def test_given_the_kernel_s_counters_of_either_version_then_kills_are_read(tmp_path: Path) -> None:
    (tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 12\noom 2\noom_kill 3\noom_group_kill 0\n")
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 4\n")
    (tmp_path / "old").write_text("oom_kill_disable 0\nunder_oom 0\n")
    assert Cgroup(tmp_path, "memory.events").oom_kills() == 3
    assert Cgroup(tmp_path, "memory.oom_control").oom_kills() == 4
    assert Cgroup(tmp_path, "old").oom_kills() == 0  # kernels before 4.13 do not count
