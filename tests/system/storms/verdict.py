"""What became of every promise: reads ledger and store after the storm, and says what is wrong."""

import hashlib
import json
import multiprocessing
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tasks.jobs import FINAL, Attempt, Job, Ledger, State
from tasks.renders import RenderOptions, artifact_prefix
from workers.render import render

# Jobs that are rendered once more, those with the most attempts first, and the seconds this may take.
SAMPLE = 15
RENDER_PATIENCE = 120


@dataclass
class Verdict:
    """Counts for the reader, and the violations: none if every promise was kept."""

    counts: dict[str, object] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)


def every_job(ledger: Ledger) -> list[Job]:
    """All jobs of the ledger."""
    found, after = [], None
    while True:
        page = ledger.jobs.page(after=after, limit=200)
        found += page.jobs
        if page.next is None:
            return found
        after = page.next


def is_settled(jobs: Iterable[Job]) -> bool:
    """Whether nothing is left to do."""
    return all(job.state in FINAL for job in jobs)


def judge(ledger: Ledger, store: Path, promised: Mapping[str, str]) -> Verdict:
    """Hold ledger and store against what was `promised`: job -> SHA-256 of its drawing."""
    jobs = {job.id: job for job in every_job(ledger)}
    history = {job: ledger.attempts.history(job) for job in jobs}
    verdict = Verdict()
    verdict.violations += _states(jobs, promised)
    finished = [job for job in jobs.values() if job.state is State.SUCCEEDED]
    for job in finished:
        verdict.violations += [f"job {job.id}: {fault}" for fault in outputs(store, job, promised.get(job.id))]
    sample = sorted(finished, key=lambda job: (-len(history[job.id]), job.id))[:SAMPLE]
    verdict.violations += _again(store, sample)
    verdict.counts = {
        "jobs": len(jobs),
        "states": dict(Counter(job.state.value for job in jobs.values())),
        "promised": len(promised),
        "promised_succeeded": sum(jobs[job].state is State.SUCCEEDED for job in promised if job in jobs),
        "attempts": sum(map(len, history.values())),
        "outcomes": dict(_outcomes(history.values())),
        "most_attempts_at_a_job": max(map(len, history.values()), default=0),
        "publications": sum(job.publications for job in jobs.values()),
        "rendered_again": len(sample),
    }
    return verdict


def _states(jobs: Mapping[str, Job], promised: Mapping[str, str]) -> list[str]:
    violations = [f"job {job} was answered 202 and is not in the ledger" for job in promised if job not in jobs]
    for job in jobs.values():
        told = f"job {job.id} (attempt {job.attempt}, deaths {job.crashes}, error {job.error})"
        if job.id in promised and job.state is not State.SUCCEEDED:
            violations.append(f"{told} was answered 202 and is {job.state}")
        if job.state not in FINAL:
            violations.append(f"{told} is still {job.state}")
        if job.state in (State.FAILED, State.DEAD):
            violations.append(f"{told} is {job.state}, though nothing is wrong with it")
        if job.crashes:
            violations.append(f"{told} was held guilty of a death that was not its own")
    return violations


def _outcomes(history: Iterable[list[Attempt]]) -> Counter[str]:
    return Counter(
        attempt.outcome.value + (f" ({attempt.cause})" if attempt.cause else "") for made in history for attempt in made
    )


def outputs(store: Path, job: Job, digest: str | None) -> list[str]:
    """Whether the job's artifacts are whole: those that the manifest names, with its checksums, and no others."""
    folder = store / artifact_prefix(job.tenant, job.artifact or "")
    path = folder / "manifest.json"
    if not path.is_file():
        return ["it succeeded without outputs"]
    manifest = json.loads(path.read_text(encoding="utf-8"))
    if digest is not None and manifest["source"]["sha256"] != digest:
        return ["its outputs are those of another drawing"]
    named = [manifest["preview"], *(layer for layer in manifest["layers"] if layer["file"])]
    faults = [
        f"{file['file']} does not have its checksum" for file in named if _sum(folder / file["file"]) != file["sha256"]
    ]
    there = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    if strange := there - {file["file"] for file in named} - {"manifest.json"}:
        faults.append(f"{strange} are not in its manifest")
    return faults


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"


def _again(store: Path, jobs: list[Job]) -> list[str]:
    """Render the jobs once more, elsewhere: the outputs must be the same, byte for byte."""
    with tempfile.TemporaryDirectory(prefix="bulkhead-again-") as scratch:
        folders = {job.id: Path(scratch) / job.id for job in jobs}
        process = multiprocessing.get_context("spawn").Process(
            target=_render_all, args=([(store / job.source, folders[job.id], job.options) for job in jobs],)
        )
        process.start()
        process.join(RENDER_PATIENCE)
        if process.exitcode != 0:
            process.kill()
            return [f"rendering a sample again ended with {process.exitcode}"]
        return [
            f"job {job.id}: rendered again it gives other bytes"
            for job in jobs
            if _tree(folders[job.id]) != _tree(store / artifact_prefix(job.tenant, job.artifact or ""))
        ]


def _render_all(work: list[tuple[Path, Path, dict[str, object]]]) -> None:
    for source, out, options in work:
        out.mkdir()
        render(source, out, RenderOptions.model_validate(options))


def _tree(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): _sum(file) for file in sorted(folder.rglob("*")) if file.is_file()}
