"""The acceptance of the units on a plain Debian 12: systemd as PID 1, cgroup v2 alone, in a virtual machine.

    python -m tests.machine.run [--keep DIRECTORY] [--shell]

Builds the machine, boots it, waits until all units are up, and submits 20 memory bombs amid 100 good jobs, with
`memory.oom.group` of the render units 0 and then 1. Exit code 1 if there is a violation. Afterwards the machine is shut
down and its files are removed. Needs root, about 4 GiB of memory, 3 GiB below /var/tmp, and half an hour at most.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.machine.acceptance import BOMBS, GOOD, run_storm
from tests.machine.machine import VirtualMachine, VirtualMachineError, build_image, running_machine
from tests.machine.report import print_facts, wait_for_units
from tests.system.storms.chaos_run import make_logger, print_result

# Seconds after which the run is given up, whatever it is doing.
TIME_LIMIT = 90 * 60


def accept(machine: VirtualMachine) -> list[str]:
    """Wait for the units, describe the machine and run both storms. Returns the violations."""
    log = make_logger()
    wait_for_units(machine, log)
    log("all units are up")
    print_facts(machine, log)
    seed = int(time.time())
    return [
        f"memory.oom.group {oom_group}: {violation}"
        for oom_group in (0, 1)
        for violation in run_storm(machine, oom_group, seed, log)
    ]


@contextmanager
def machine_directory(keep: str | None) -> Iterator[Path]:
    """The directory of the machine's files; a temporary one, which is removed at the end, unless `keep` names one."""
    if keep:
        directory = Path(keep).absolute()
        directory.mkdir(parents=True, exist_ok=True)
        yield directory
        return
    # /tmp may be in memory.
    directory = Path(tempfile.mkdtemp(prefix="bulkhead-machine-", dir="/var/tmp"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def main() -> int:
    """Run with the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keep", metavar="DIRECTORY", help="keep the machine there; another run boots the same one")
    parser.add_argument("--shell", action="store_true", help="open a shell of root in it instead of the acceptance")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("Only root can build the machine. Run `make machine` as root, or with sudo.", file=sys.stderr)
        return 3
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # shuts the machine down, like Ctrl-C
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(f"Given up after {TIME_LIMIT // 60} minutes."))
    signal.alarm(0 if arguments.shell else TIME_LIMIT)
    log = make_logger()
    try:
        with machine_directory(arguments.keep) as directory:
            build_image(directory)
            log("booting")
            with running_machine(directory, log) as machine:
                log("it accepts SSH connections")
                if arguments.shell:
                    machine.shell()
                    return 0
                violations = accept(machine)
    except (VirtualMachineError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    return print_result({"bombs": 2 * BOMBS, "good_jobs": 2 * GOOD}, violations)


if __name__ == "__main__":
    sys.exit(main())
