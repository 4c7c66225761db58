"""How much a unit that thrashes at its memory limit slows down its neighbour.

    python -m benchmarks.memory_pressure [--previews 200] [--rounds 5]

Run it as root. It starts two render units of 512 MiB in a private systemd. One runs a job all the time: in the first
part of a round it rests, in the second it keeps a core busy like any render, and in the third it fills its memory limit
and then reads a file of 256 MiB at random, so that every page read evicts another. Meanwhile the neighbour renders
previews of DXF drawings with 200 lines, one after another, sent over HTTP. The last line of output is one JSON object:
medians over the rounds of the neighbour's p50 and p99 in milliseconds, from the request to the end of the job, beside a
unit that rests, works and thrashes; `p99_growth_percent`, from working to thrashing, and
`p99_growth_from_rest_percent`, both medians over the rounds; and `faults_per_second`, pages read again from the disk.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from statistics import median

import httpx

# Run as a file, this folder would hide the packages `leaks` and `web`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support import drawings
from benchmarks.support.services import print_progress, print_result, running_broker, scratch
from tests.integration.jobs.renders import Renders, drawing
from tests.services.platform import Platform
from tests.services.units import Units, running_units, with_option
from tests.system.storms.faulty_engine import REST, THRASH, WORK, svg_with_fault

WORKERS = ("bulkhead-render@1", "bulkhead-render@2")
KINDS = (REST, WORK, THRASH)
PREVIEW_LINES = 200

# The busy unit notices within a third of a lease that its job was cancelled (seconds).
LEASE = 3

# Seconds until a unit thrashes: it fills its memory limit and writes its file, both slowly.
SETTLING_TIME = 15.0


def submit(units: Units, name: str, content: bytes) -> str:
    """Upload a drawing. Returns the id of its job."""
    url = f"{units.platform.url}/renders"
    answer = httpx.post(url, files={"blueprint": (name, content)}, data={"width": "256"}, timeout=60)
    answer.raise_for_status()
    return str(answer.json()["id"])


def time_preview(units: Units, sent: Renders) -> float:
    """Milliseconds from the request for a preview to its end."""
    content = drawing(PREVIEW_LINES, seed=time.time_ns())
    started = time.time()
    job = sent.finished(submit(units, "sheet.dxf", content), timeout=120)
    if job.error:
        raise RuntimeError(f"a preview failed: {job.error}")
    return 1000 * ((job.finished_at or 0) - started)


def measure_beside(units: Units, sent: Renders, kind: str, previews: int) -> dict[str, float]:
    """Percentiles of previews beside a unit that behaves like `kind`, and major faults per second."""
    busy_job = submit(units, "busy.svg", svg_with_fault(drawings.svg(time.time_ns() % 2**31), kind, 30))
    sent.child_at(busy_job)
    time.sleep(SETTLING_TIME)
    faults, began = major_faults(units), time.monotonic()
    times = sorted(time_preview(units, sent) for _ in range(previews))
    rate = (major_faults(units) - faults) / (time.monotonic() - began)
    if sent.find(busy_job).attempt != 1:
        raise RuntimeError(f"the busy unit died: {[one.explanation for one in sent.history(busy_job)]}")
    sent.ledger.jobs.cancel(busy_job, time.time(), error={"code": "cancelled", "detail": "Measured."})
    time.sleep(LEASE)
    return {"p50": times[len(times) // 2], "p99": times[round(0.99 * (len(times) - 1))], "faults": rate}


def major_faults(units: Units) -> int:
    """Pages that the units have read from disk so far."""
    faults = 0
    for unit in WORKERS:
        group = units.systemd.show(unit, "ControlGroup")
        paths = (f"/sys/fs/cgroup{group}/memory.stat", f"/sys/fs/cgroup/memory{group}/memory.stat")
        for line in units.systemd.run("cat", *paths, check=False).splitlines():
            name, _, count = line.partition(" ")
            faults += int(count) if name == "pgmajfault" else 0
    return faults


def run(units: Units, previews: int, rounds: int) -> dict[str, float]:
    """Run all rounds, in alternating order, and return the result."""
    sent = Renders(units.platform)
    for _ in range(6):
        time_preview(units, sent)
    parts: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for number in range(rounds):
        for kind in KINDS if number % 2 else reversed(KINDS):
            parts[kind].append(measure_beside(units, sent, kind, previews))
            print_progress(f"round {number + 1}, beside one that would {kind}: {parts[kind][-1]}")
    sent.close()
    result = {
        f"{kind}_{name}_ms": median(part[name] for part in parts[kind]) for kind in KINDS for name in ("p50", "p99")
    }
    result["p99_growth_percent"] = median_growth(parts[WORK], parts[THRASH])
    result["p99_growth_from_rest_percent"] = median_growth(parts[REST], parts[THRASH])
    result["faults_per_second"] = median(part["faults"] for part in parts[THRASH])
    return {name: round(value, 1) for name, value in result.items()}


def median_growth(before: list[dict[str, float]], after: list[dict[str, float]]) -> float:
    """The growth of p99 in percent, median over the rounds."""
    return median(100 * (two["p99"] / one["p99"] - 1) for one, two in zip(before, after, strict=True))


def main() -> None:
    """Measure and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--previews", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    with scratch() as home, running_broker(home) as broker_url:
        result = run_units(home, broker_url, arguments)
    print_result({**result, "previews": arguments.previews, "rounds": arguments.rounds, "load": round(load, 1)})


def run_units(home: Path, broker_url: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Run two units with this broker and return the result."""
    platform = Platform(home / "platform", broker_url)
    settings = {"BULKHEAD_LEASE": str(LEASE)}
    drop_ins = {"bulkhead-render@": with_option("bulkhead-render@", "--include faulty_engine")}
    with running_units(home / "host", platform, settings=settings, drop_ins=drop_ins) as units:
        units.start("bulkhead-web", *WORKERS)
        return run(units, arguments.previews, arguments.rounds)


if __name__ == "__main__":
    main()
