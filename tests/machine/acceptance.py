"""Memory bombs amid good jobs, in the machine: every bomb is dead and explained, and nothing else notices."""

import http.client
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from benchmarks.support import drawings
from tests.machine.machine import VirtualMachine
from tests.machine.verdict import judge_jobs, judge_kills, judge_workers
from tests.machine.workers import read_limits, read_states, set_oom_group
from tests.system.storms.clients import Clients, Drawing
from tests.system.storms.faulty_engine import BOMB, svg_with_fault

BOMBS, GOOD = 20, 100

# The states in which a job has ended.
ENDED = frozenset({"succeeded", "failed", "dead", "cancelled"})

# Threads and seconds between two submissions: the web tier shares two emulated processors with the renders.
CLIENTS, INTERVAL = 2, 0.5

# Seconds: until all jobs have ended, between two looks at them, and of a request.
STORM_TIMEOUT = 1800.0
POLL_INTERVAL = 10.0
REQUEST_TIMEOUT = 60.0

# Jobs in a list, newest first: more than a storm has.
PAGE = 200

Log = Callable[[str], None]


def run_storm(machine: VirtualMachine, oom_group: int, seed: int, log: Log) -> list[str]:
    """Submit bombs and good jobs with `memory.oom.group` of the units set to `oom_group`. Returns the violations."""
    log(f"memory.oom.group {oom_group}: submitting {BOMBS} bombs amid {GOOD} good jobs")
    set_oom_group(machine, oom_group)
    before, limits_before = read_states(machine), len(read_limits(machine))
    faults = [BOMB] * BOMBS + [""] * GOOD
    random.Random(seed).shuffle(faults)
    name = f"machine-{seed}-{oom_group}"
    clients = Clients(
        machine.url,
        len(faults),
        lambda number: make_drawing(number, faults[number], seed * 10 + oom_group),
        name=name,
        threads=CLIENTS,
        interval=INTERVAL,
    )
    clients.start()
    try:
        renders = _wait_for_all(machine, clients, log)
    finally:
        clients.stop()
    after, limits = read_states(machine), read_limits(machine)[limits_before:]
    bombs = frozenset(job for number, job in clients.responses.jobs.items() if faults[number])
    counted = sum(state.oom_kills for state in after) - sum(state.oom_kills for state in before)
    for state in after:
        log(str(state))
    log(f"cgroups whose limit was hit: {dict(Counter(limits).most_common(5))}")
    return [
        *clients.responses.errors,
        *judge_jobs(renders, bombs),
        *judge_workers(before, after),
        *judge_kills(limits, counted, BOMBS),
    ]


def make_drawing(number: int, fault: str, seed: int) -> Drawing:
    """The drawing with this number; no two are equal."""
    svg = drawings.svg(seed * 1000 + number)
    content = svg_with_fault(svg, fault, random.Random(seed + number).randrange(90)) if fault else svg
    return Drawing(number, f"sheet {number}.svg", content, drawings.WIDTH)


def _wait_for_all(machine: VirtualMachine, clients: Clients, log: Log) -> dict[str, dict[str, Any]]:
    """The representation of each submitted job when all have ended, or when STORM_TIMEOUT is over."""
    deadline = time.monotonic() + STORM_TIMEOUT
    is_over = False
    while not is_over and time.monotonic() < deadline:
        time.sleep(POLL_INTERVAL)
        is_submitted = not clients.is_busy
        jobs = list(clients.responses.jobs.values())
        states = {render["id"]: render["state"] for render in _get(machine, f"/renders?limit={PAGE}")["renders"]}
        log(", ".join(f"{count} {state}" for state, count in Counter(states.get(job, "new") for job in jobs).items()))
        is_over = is_submitted and all(states.get(job) in ENDED for job in jobs)
    return {job: _get(machine, f"/renders/{job}") for job in list(clients.responses.jobs.values())}


def _get(machine: VirtualMachine, path: str) -> dict[str, Any]:
    """The JSON object at a path of the web tier. Raises OSError or HTTPException."""
    connection = http.client.HTTPConnection(urlsplit(machine.url).netloc, timeout=REQUEST_TIMEOUT)
    try:
        connection.request("GET", path)
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        return answer
    finally:
        connection.close()
