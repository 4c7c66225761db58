"""What a unit that thrashes at its memory fence costs its neighbour.

    python -m benchmarks.memory_pressure [--previews 200] [--rounds 5]

As root. Two render units of 512 MiB in a private systemd. One holds a job throughout: in one part of a round it rests,
in another it keeps a processor busy as any render does, in the third it fills its fence and then reads a file of 256
MiB at random, so that for every page another one must go. The neighbour meanwhile renders previews one after another,
of 200 lines in DXF, sent over HTTP. The last line is one JSON object: medians over the rounds of the neighbour's p50
and p99 in milliseconds, from the request to the end of the job, beside one that rests, works and thrashes;
`p99_growth_percent`, from beside one that works to beside one that thrashes, and `p99_growth_from_rest_percent`, each
the median of the rounds' own; and that it was so: `faults_per_second`, pages that had to be read again from the disk.
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
from tests.system.storms.faulty_engine import REST, THRASH, WORK, svg_saying

WORKERS = ("bulkhead-render@1", "bulkhead-render@2")
KINDS = (REST, WORK, THRASH)
PREVIEW_LINES = 200

# The busy unit hears within a third of a lease that its job was cancelled (seconds).
LEASE = 3

# Seconds until a unit that shall thrash does: it fills its fence, writes its file, and is slow at both.
SETTLING_TIME = 15.0


def submit(units: Units, name: str, content: bytes) -> str:
    """Send a drawing; answers its job's id."""
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
    """Percentiles of previews while the other unit does that, and its major faults a second."""
    held = submit(units, "busy.svg", svg_saying(drawings.svg(time.time_ns() % 2**31), kind, 30))
    sent.child_at(held)
    time.sleep(SETTLING_TIME)
    faults, began = major_faults(units), time.monotonic()
    times = sorted(time_preview(units, sent) for _ in range(previews))
    rate = (major_faults(units) - faults) / (time.monotonic() - began)
    if sent.find(held).attempt != 1:
        raise RuntimeError(f"the busy unit did not last: {[one.explanation for one in sent.history(held)]}")
    sent.ledger.jobs.cancel(held, time.time(), error={"code": "cancelled", "detail": "Measured."})
    time.sleep(LEASE)
    return {"p50": times[len(times) // 2], "p99": times[round(0.99 * (len(times) - 1))], "faults": rate}


def major_faults(units: Units) -> int:
    """Pages that the units had to read from a disk, so far."""
    found = 0
    for unit in WORKERS:
        group = units.systemd.show(unit, "ControlGroup")
        paths = (f"/sys/fs/cgroup{group}/memory.stat", f"/sys/fs/cgroup/memory{group}/memory.stat")
        for line in units.systemd.run("cat", *paths, check=False).splitlines():
            name, _, count = line.partition(" ")
            found += int(count) if name == "pgmajfault" else 0
    return found


def run(units: Units, previews: int, rounds: int) -> dict[str, float]:
    """Figures of all rounds; what comes first takes turns."""
    sent = Renders(units.platform)
    for _ in range(6):
        time_preview(units, sent)
    parts: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for number in range(rounds):
        for kind in KINDS if number % 2 else reversed(KINDS):
            parts[kind].append(measure_beside(units, sent, kind, previews))
            print_progress(f"round {number + 1}, beside one that would {kind}: {parts[kind][-1]}")
    sent.close()
    found = {
        f"{kind}_{name}_ms": median(part[name] for part in parts[kind]) for kind in KINDS for name in ("p50", "p99")
    }
    found["p99_growth_percent"] = median_growth(parts[WORK], parts[THRASH])
    found["p99_growth_from_rest_percent"] = median_growth(parts[REST], parts[THRASH])
    found["faults_per_second"] = median(part["faults"] for part in parts[THRASH])
    return {name: round(value, 1) for name, value in found.items()}


def median_growth(before: list[dict[str, float]], after: list[dict[str, float]]) -> float:
    """By how many per cent p99 grew, the median of the rounds."""
    return median(100 * (two["p99"] / one["p99"] - 1) for one, two in zip(before, after, strict=True))


def main() -> None:
    """Measure and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--previews", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    with scratch() as home, running_broker(home) as broker_url:
        result = run_units(home, broker_url, asked)
    print_result({**result, "previews": asked.previews, "rounds": asked.rounds, "load": round(load, 1)})


def run_units(home: Path, broker_url: str, asked: argparse.Namespace) -> dict[str, float]:
    """Figures of two units over this broker."""
    platform = Platform(home / "platform", broker_url)
    settings = {"BULKHEAD_LEASE": str(LEASE)}
    drop_ins = {"bulkhead-render@": with_option("bulkhead-render@", "--include faulty_engine")}
    with running_units(home / "host", platform, settings=settings, drop_ins=drop_ins) as units:
        units.start("bulkhead-web", *WORKERS)
        return run(units, asked.previews, asked.rounds)


if __name__ == "__main__":
    main()
