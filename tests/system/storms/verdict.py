"""Judges the ledger and the store after a run, and lists violations."""

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

# Jobs that are rendered again, those with the most attempts first, and the timeout for that in seconds.
SAMPLE = 15
RENDER_TIMEOUT = 120


@dataclass
class Verdict:
    """Counts and violations; there are none if every accepted job succeeded."""

    counts: dict[str, object] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)


def all_jobs(ledger: Ledger) -> list[Job]:
    """All jobs of the ledger."""
    jobs, after = [], None
    while True:
        page = ledger.jobs.page(after=after, limit=200)
        jobs += page.jobs
        if page.next is None:
            return jobs
        after = page.next


def all_finished(jobs: Iterable[Job]) -> bool:
    """Whether all jobs have finished."""
    return all(job.state in FINAL for job in jobs)


def judge(ledger: Ledger, store: Path, accepted: Mapping[str, str]) -> Verdict:
    """Compare ledger and store with the `accepted` jobs: job -> SHA-256 of its drawing."""
    jobs = {job.id: job for job in all_jobs(ledger)}
    history = {job: ledger.attempts.history(job) for job in jobs}
    verdict = Verdict()
    verdict.violations += _states(jobs, accepted)
    finished = [job for job in jobs.values() if job.state is State.SUCCEEDED]
    for job in finished:
        verdict.violations += [f"job {job.id}: {error}" for error in outputs(store, job, accepted.get(job.id))]
    sample = sorted(finished, key=lambda job: (-len(history[job.id]), job.id))[:SAMPLE]
    verdict.violations += _render_again(store, sample)
    verdict.counts = {
        "jobs": len(jobs),
        "states": dict(Counter(job.state.value for job in jobs.values())),
        "accepted": len(accepted),
        "accepted_succeeded": sum(jobs[job].state is State.SUCCEEDED for job in accepted if job in jobs),
        "attempts": sum(map(len, history.values())),
        "outcomes": dict(_outcomes(history.values())),
        "max_attempts_per_job": max(map(len, history.values()), default=0),
        "publications": sum(job.publications for job in jobs.values()),
        "rendered_again": len(sample),
    }
    return verdict


def _states(jobs: Mapping[str, Job], accepted: Mapping[str, str]) -> list[str]:
    violations = [f"job {job} was answered 202 and is not in the ledger" for job in accepted if job not in jobs]
    for job in jobs.values():
        description = f"job {job.id} (attempt {job.attempt}, crashes {job.crashes}, error {job.error})"
        if job.id in accepted and job.state is not State.SUCCEEDED:
            violations.append(f"{description} was answered 202 and is {job.state}")
        if job.state not in FINAL:
            violations.append(f"{description} is still {job.state}")
        if job.state in (State.FAILED, State.DEAD):
            violations.append(f"{description} is {job.state}, although its drawing is valid")
        if job.crashes:
            violations.append(f"{description} has crashes that were not its fault")
    return violations


def _outcomes(history: Iterable[list[Attempt]]) -> Counter[str]:
    return Counter(
        attempt.outcome.value + (f" ({attempt.cause})" if attempt.cause else "")
        for attempts in history
        for attempt in attempts
    )


def outputs(store: Path, job: Job, digest: str | None) -> list[str]:
    """Errors of the artifacts: they must be those of the manifest, with its checksums, and no others."""
    folder = store / artifact_prefix(job.tenant, job.artifact or "")
    path = folder / "manifest.json"
    if not path.is_file():
        return ["it succeeded without outputs"]
    manifest = json.loads(path.read_text(encoding="utf-8"))
    if digest is not None and manifest["source"]["sha256"] != digest:
        return ["its outputs belong to another drawing"]
    named = [manifest["preview"], *(layer for layer in manifest["layers"] if layer["file"])]
    errors = [
        f"{file['file']} does not have its checksum" for file in named if _sum(folder / file["file"]) != file["sha256"]
    ]
    existing = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    if unknown := existing - {file["file"] for file in named} - {"manifest.json"}:
        errors.append(f"{unknown} are not in its manifest")
    return errors


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"


def _render_again(store: Path, jobs: list[Job]) -> list[str]:
    """Render the jobs again elsewhere: the outputs must be identical."""
    with tempfile.TemporaryDirectory(prefix="bulkhead-again-") as scratch_directory:
        folders = {job.id: Path(scratch_directory) / job.id for job in jobs}
        process = multiprocessing.get_context("spawn").Process(
            target=_render_all, args=([(store / job.source, folders[job.id], job.options) for job in jobs],)
        )
        process.start()
        process.join(RENDER_TIMEOUT)
        if process.exitcode != 0:
            process.kill()
            return [f"rendering a sample again ended with {process.exitcode}"]
        return [
            f"job {job.id}: rendering it again gives different bytes"
            for job in jobs
            if _tree(folders[job.id]) != _tree(store / artifact_prefix(job.tenant, job.artifact or ""))
        ]


def _render_all(work: list[tuple[Path, Path, dict[str, object]]]) -> None:
    for source, out, options in work:
        out.mkdir()
        render(source, out, RenderOptions.model_validate(options))


def _tree(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): _sum(file) for file in sorted(folder.rglob("*")) if file.is_file()}
