"""How long a rotation of TLS ticket keys on five nodes takes, compared with a shell loop of SSH commands.

    python -m benchmarks.tickets [--rotations 20]

Starts five HAProxy nodes, each with an sshd, on loopback; takes a minute. A rotation is a complete run: read, claim,
push, read back, and record in the ledger. After each, TLS sessions of every node are resumed on all five nodes, in TLS
1.2 and 1.3, with real handshakes. The loop runs one `ssh` per node, which pipes a key into the runtime socket with the
key in argv; it writes no file and verifies nothing. The last line of output is one JSON object; `cold_s` is a rotation
that also opens its SSH connections, like the loop.
"""

import argparse
import base64
import os
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

# Run as a file, this folder would hide the packages `leaks` and `web`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support.services import print_progress, print_result
from tests.services.fleet import Fleet, FleetNode, keygen, running_fleet
from tests.services.jumphost import JumpHost
from workers.tickets.rotation import RotationRequest


def p95(seconds: list[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(seconds, n=20, method="inclusive")[-1]


def measure_rotations(host: JumpHost, count: int) -> dict[str, Any]:
    """Run and verify `count` rotations."""
    seconds, resumed, expected = [], 0, 0
    for number in range(count):
        started = time.monotonic()
        assert host.run().result == "rotated"
        seconds.append(time.monotonic() - started)
        checks = host.matrix()
        resumed, expected = resumed + sum(check.resumed for check in checks), expected + len(checks)
        print_progress(f"rotation {number + 1}: {seconds[-1]:.3f} s, {resumed} of {expected} resumed")
    return {
        "rotation_p50_s": round(statistics.median(seconds), 3),
        "rotation_p95_s": round(p95(seconds), 3),
        "resumed": resumed,
        "expected": expected,
    }


def measure_catch_up(host: JumpHost, node: FleetNode, missed: int) -> float:
    """Seconds of the run that updates a node that missed `missed` rotations."""
    node.unreachable()
    for _ in range(missed):
        host.run()
    node.reachable()
    started = time.monotonic()
    assert host.run(RotationRequest()).result == "caught-up"
    return time.monotonic() - started


def measure_ssh_loop(fleet: Fleet, count: int) -> list[float]:
    """Seconds of each run of the shell loop."""
    keygen(fleet.home / "peer")
    configuration = fleet.home / "peer_config"
    configuration.write_text(fleet.ssh_config.read_text().replace(f"{fleet.home}/id\n", f"{fleet.home}/peer\n"))
    for node in fleet.nodes:
        with (node.home / "authorized_keys").open("a") as file:
            file.write((fleet.home / "peer.pub").read_text())
    seconds = []
    for _ in range(count):
        key = base64.b64encode(os.urandom(80)).decode()
        started = time.monotonic()
        for node in fleet.nodes:
            words = shlex.quote(f"set ssl tls-key {node.keyring_file} {key}")
            command = f"echo {words} | socat stdio unix-connect:{node.socket}"
            subprocess.run(["ssh", "-F", str(configuration), node.name, command], check=True, capture_output=True)
        seconds.append(time.monotonic() - started)
    return seconds


def main() -> None:
    """Measure and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--rotations", type=int, default=20, help="number of rotations (20); the loop runs half as often"
    )
    arguments = parser.parse_args()
    with running_fleet() as fleet:
        host = JumpHost(fleet)
        started = time.monotonic()
        host.run(RotationRequest())
        result: dict[str, Any] = {"nodes": len(fleet.nodes), "cold_s": round(time.monotonic() - started, 3)}
        result |= measure_rotations(host, arguments.rotations)
        result |= {
            f"catch_up_{missed}_s": round(measure_catch_up(host, fleet[1], missed), 3) for missed in (1, 2, 5, 10)
        }
        loops = measure_ssh_loop(fleet, max(2, arguments.rotations // 2))
        result |= {"one_liner_loop_p50_s": round(statistics.median(loops), 3)}
        result |= {"one_liner_loop_p95_s": round(p95(loops), 3)}
    print_result({**result, "load": round(os.getloadavg()[0], 1)})


if __name__ == "__main__":
    main()
