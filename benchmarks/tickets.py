"""How long a rotation of TLS ticket keys takes over five nodes, beside a shell loop of SSH one-liners.

    python -m benchmarks.tickets [--rotations 20]

Starts five HAProxy nodes with an sshd each, on loopback; a minute. A rotation is a whole run: look, claim, push, read
back, and the ledger. After each, every session that began on one node goes on at all five, in TLS 1.2 and 1.3, by real
handshakes. The loop is what people write instead: for each node, one after the other, an `ssh` that pipes a key into
the runtime socket, with the key in argv; it writes no file, looks at nothing and reads nothing back. The last line of
output is one JSON object; `cold_s` is a rotation for which the SSH connections are made first, as the loop makes them.
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
    """So many rotations, each verified."""
    seconds, resumed, expected = [], 0, 0
    for number in range(count):
        began = time.monotonic()
        assert host.run().result == "rotated"
        seconds.append(time.monotonic() - began)
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
    """Seconds of the run that brings a node up to date that missed so many rotations."""
    node.unreachable()
    for _ in range(missed):
        host.run()
    node.reachable()
    began = time.monotonic()
    assert host.run(RotationRequest()).result == "caught-up"
    return time.monotonic() - began


def measure_ssh_loop(fleet: Fleet, count: int) -> list[float]:
    """Seconds of each round of the loop."""
    keygen(fleet.home / "peer")
    configuration = fleet.home / "peer_config"
    configuration.write_text(fleet.ssh_config.read_text().replace(f"{fleet.home}/id\n", f"{fleet.home}/peer\n"))
    for node in fleet.nodes:
        with (node.home / "authorized_keys").open("a") as file:
            file.write((fleet.home / "peer.pub").read_text())
    seconds = []
    for _ in range(count):
        key = base64.b64encode(os.urandom(80)).decode()
        began = time.monotonic()
        for node in fleet.nodes:
            words = shlex.quote(f"set ssl tls-key {node.keyring_file} {key}")
            command = f"echo {words} | socat stdio unix-connect:{node.socket}"
            subprocess.run(["ssh", "-F", str(configuration), node.name, command], check=True, capture_output=True)
        seconds.append(time.monotonic() - began)
    return seconds


def main() -> None:
    """Measure and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rotations", type=int, default=20, help="how many; the loop runs half as often")
    asked = parser.parse_args()
    with running_fleet() as fleet:
        host = JumpHost(fleet)
        began = time.monotonic()
        host.run(RotationRequest())
        result: dict[str, Any] = {"nodes": len(fleet.nodes), "cold_s": round(time.monotonic() - began, 3)}
        result |= measure_rotations(host, asked.rotations)
        result |= {
            f"catch_up_{missed}_s": round(measure_catch_up(host, fleet[1], missed), 3) for missed in (1, 2, 5, 10)
        }
        loops = measure_ssh_loop(fleet, max(2, asked.rotations // 2))
        result |= {"one_liner_loop_p50_s": round(statistics.median(loops), 3)}
        result |= {"one_liner_loop_p95_s": round(p95(loops), 3)}
    print_result({**result, "load": round(os.getloadavg()[0], 1)})


if __name__ == "__main__":
    main()
