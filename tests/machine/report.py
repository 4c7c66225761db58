"""What the machine is: kernel, cgroups and units, as lines for a reader."""

import time
from collections.abc import Callable

from tests.machine.machine import VirtualMachine, VirtualMachineError

# Seconds until all units are up: 250 on an idle host, and longer beside other work.
UNITS_TIMEOUT = 1800.0
POLL_INTERVAL = 5.0

_WAITING = "systemctl list-jobs --plain --no-legend"
_FAILED = "systemctl list-units --state=failed --plain --no-legend"

# landlock_create_ruleset(2) with the flag LANDLOCK_CREATE_RULESET_VERSION returns the ABI.
_LANDLOCK = "import ctypes; print(ctypes.CDLL(None).syscall(444, None, 0, 1))"

FACTS = {
    "kernel": "uname -r",
    "systemd": "systemctl --version | head -n 1",
    "cgroups": "stat -fc %T /sys/fs/cgroup; cat /sys/fs/cgroup/cgroup.controllers",
    "Landlock ABI": f"/opt/bulkhead/bin/python -c '{_LANDLOCK}'",
    "boot": "systemd-analyze time",
    "slowest units": "systemd-analyze blame --no-pager | head -n 12",
    "security of bulkhead-render@1": "systemd-analyze security --no-pager bulkhead-render@1 | tail -n 1",
    "cgroup of bulkhead-render@1": """
        cd /sys/fs/cgroup$(systemctl show --property=ControlGroup --value bulkhead-render@1)
        find . -type d | sort | while read -r path; do
            echo "$path: memory.max $(cat $path/memory.max), processes $(wc -l <$path/cgroup.procs)," \
                "controllers of children: $(cat $path/cgroup.subtree_control)"
        done""",
}


def wait_for_units(machine: VirtualMachine, log: Callable[[str], None]) -> None:
    """Wait until systemd has started everything that is enabled.

    Raises VirtualMachineError with what is missing if that takes longer than UNITS_TIMEOUT, or if a unit has failed.
    """
    deadline = time.monotonic() + UNITS_TIMEOUT
    said = ""
    while waiting := _waiting(machine):
        if time.monotonic() > deadline:
            raise VirtualMachineError(f"Not started within {UNITS_TIMEOUT:g} s: {waiting}\n{_journal(machine)}")
        if waiting != said:
            log(f"waiting for {waiting}")
            said = waiting
        time.sleep(POLL_INTERVAL)
    if failed := machine.run(_FAILED).strip():
        raise VirtualMachineError(f"These units failed:\n{failed}\n{_journal(machine)}")


def print_facts(machine: VirtualMachine, log: Callable[[str], None]) -> None:
    """Log each fact."""
    for name, command in FACTS.items():
        lines = machine.run(command, check=False).strip().splitlines()
        log(f"{name}: " + "\n          ".join(lines))


def _waiting(machine: VirtualMachine) -> str:
    units = [line.split()[1] for line in machine.run(_WAITING).splitlines() if line.strip()]
    return ", ".join(sorted(unit.removesuffix(".service") for unit in units if unit.endswith(".service")))


def _journal(machine: VirtualMachine) -> str:
    return machine.run("journalctl --no-pager --lines=60 --unit='bulkhead-*'", check=False)
