"""Creating a cgroup for one child, and that nothing remains if that is impossible."""

from pathlib import Path

from workers.sandbox.leaf_cgroup import Cgroup, leaf_cgroup

VERSION_2 = "0::/user.slice/app.scope\n"
VERSION_1 = "5:cpu:/\n4:memory:/docker/abc\n0::/\n"


def test_given_hierarchies_without_a_memory_controller_then_no_cgroup_is_created(
    tmp_path: Path,
) -> None:
    for number, text in enumerate((VERSION_1, VERSION_2)):
        root = tmp_path / str(number)
        for folder in ("memory/docker/abc", "user.slice/app.scope"):
            (root / folder).mkdir(parents=True)
        before = sorted(root.rglob("*"))
        proc = tmp_path / "cgroup"
        proc.write_text(text)
        with leaf_cgroup(2**28, proc=proc, root=root) as cgroup:
            assert cgroup is None
        assert sorted(root.rglob("*")) == before


def test_given_no_cgroup_file_system_then_no_cgroup_is_created(tmp_path: Path) -> None:
    proc = tmp_path / "cgroup"
    proc.write_text(VERSION_2)
    with leaf_cgroup(2**28, proc=proc, root=tmp_path / "absent") as cgroup:
        assert cgroup is None


def test_given_no_permission_when_a_process_is_added_then_false_is_returned(tmp_path: Path) -> None:
    assert not Cgroup(tmp_path / "absent").add(1)


def test_given_counters_of_either_version_then_oom_kills_are_read(tmp_path: Path) -> None:
    old, new, oldest = (tmp_path / name for name in ("old", "new", "oldest"))
    for folder in (old, new, oldest):
        folder.mkdir()
    (new / "memory.max").touch()
    (new / "memory.events").write_text("low 0\nhigh 0\nmax 12\noom 2\noom_kill 3\noom_group_kill 0\n")
    (old / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 4\n")
    (oldest / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\n")
    assert Cgroup(new).oom_kills() == 3
    assert Cgroup(old).oom_kills() == 4
    assert Cgroup(oldest).oom_kills() == 0  # kernels before 4.13 do not count
