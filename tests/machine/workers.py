"""The render units of a machine: their processes, and what the kernel's memory cgroups say about them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tests.machine.machine import VirtualMachine

UNITS = ("bulkhead-render@1", "bulkhead-render@2")

# Line of the kernel log about a process that the OOM killer chose: the cgroup whose limit was hit.
_OOM = re.compile(r"oom-kill:constraint=CONSTRAINT_MEMCG\S*?,oom_memcg=([^,]+),task_memcg=")

_STATE = """
cgroup=/sys/fs/cgroup$(systemctl show --property=ControlGroup --value {unit})
systemctl show --property=ActiveState --property=MainPID --property=NRestarts {unit}
echo children=$(pgrep --parent $(systemctl show --property=MainPID --value {unit}) | sort -n | tr '\\n' ' ')
echo oom_group=$(cat $cgroup/memory.oom.group)
echo oom_kills=$(sed -n 's/^oom_kill //p' $cgroup/memory.events)
echo group_kills=$(sed -n 's/^oom_group_kill //p' $cgroup/memory.events.local)
"""


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A render unit at one moment.

    `children` has the process ids of its trusted child processes. `oom_kills` counts the processes of the unit and of
    all cgroups below it that the kernel killed at a memory limit. `group_kills` counts how often the kernel killed all
    processes of the unit together.
    """

    unit: str
    active: str
    main_pid: int
    restarts: int
    children: tuple[int, ...]
    oom_group: int
    oom_kills: int
    group_kills: int


def parse_state(unit: str, output: str) -> WorkerState:
    """Parse the output of the state command, lines of `name=value`."""
    values = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
    return WorkerState(
        unit=unit,
        active=values["ActiveState"],
        main_pid=int(values["MainPID"]),
        restarts=int(values["NRestarts"]),
        children=tuple(int(pid) for pid in values["children"].split()),
        oom_group=int(values["oom_group"]),
        oom_kills=int(values["oom_kills"]),
        group_kills=int(values["group_kills"] or 0),
    )


def read_states(machine: VirtualMachine) -> list[WorkerState]:
    """The state of each render unit."""
    return [parse_state(unit, machine.run(_STATE.format(unit=unit))) for unit in UNITS]


def set_oom_group(machine: VirtualMachine, value: int) -> None:
    """Set `memory.oom.group` of each unit's cgroup: 1 makes the kernel kill all of its processes together."""
    for unit in UNITS:
        path = f"/sys/fs/cgroup$(systemctl show --property=ControlGroup --value {unit})/memory.oom.group"
        machine.run(f"echo {value} >{path}")


def parse_limits(kernel_log: str) -> list[str]:
    """The cgroup whose limit was hit, for each process that the OOM killer chose, in order."""
    return _OOM.findall(kernel_log)


def read_limits(machine: VirtualMachine) -> list[str]:
    """The cgroups whose memory limit was hit since the machine booted, one for each kill, in order."""
    return parse_limits(machine.run("journalctl --dmesg --boot --output=cat --no-pager"))


def is_leaf(cgroup: str, units: Sequence[str] = UNITS) -> bool:
    """Whether a cgroup lies below the cgroup of one of the units, and is not the unit's own."""
    return any(f"/{unit}.service/" in cgroup for unit in units)
