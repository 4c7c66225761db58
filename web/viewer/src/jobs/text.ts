// Text about jobs.

import type { Attempt, Progress, State, Summary } from "../api";

const STATE_LABELS: Record<State, string> = {
  accepted: "Accepted",
  queued: "Queued",
  running: "Running",
  succeeded: "Succeeded",
  failed: "Failed",
  dead: "Dead",
  cancelled: "Cancelled",
};

export function stateLabel(state: State): string {
  return STATE_LABELS[state];
}

/** Formats the current activity, such as `draw layer PIPES, 40 %`. */
export function formatProgress(progress: Progress): string {
  const activity = [progress.stage, progress.layer && `layer ${progress.layer}`].filter(Boolean).join(" ");
  return activity ? `${activity}, ${progress.percent} %` : `${progress.percent} %`;
}

/** Why a job has no outputs and what to do; null if there is nothing to report. */
export function failureMessage(job: Pick<Summary, "state" | "error">): string | null {
  if (job.error) return job.error.detail;
  if (job.state === "cancelled") return "The job was cancelled. Replay it to run it again.";
  return null;
}

/** How an attempt ended, worded as `bulkhead dead show` does. */
export function attemptText(attempt: Pick<Attempt, "number" | "outcome" | "explanation">): string {
  const text = attempt.explanation ?? attempt.outcome;
  return text.startsWith("Attempt ") ? text : `Attempt ${attempt.number}: ${text}`;
}

const KIB = 1024;
const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** Formats a size as the command line does (tasks/utils/units.py); empty if it is unknown. */
export function formatBytes(bytes: number | null): string {
  if (bytes == null) return "";
  if (bytes < KIB) return `${decimal(bytes, 0)} B`;
  if (bytes < MIB) return `${decimal(bytes / KIB, 1)} KiB`;
  if (bytes < 10 * MIB) return `${decimal(bytes / MIB, 1)} MiB`;
  if (bytes < 10 * GIB) return `${decimal(bytes / MIB, 0)} MiB`;
  return `${decimal(bytes / GIB, 1)} GiB`;
}

function decimal(value: number, digits: number): string {
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
