// Text about jobs.

import type { Attempt, Progress, State, Summary } from "../api";

const STATE_LABELS: Record<State, string> = {
  accepted: "Accepted",
  queued: "Queued",
  running: "Rendering",
  succeeded: "Done",
  failed: "Failed",
  dead: "Dead",
  cancelled: "Cancelled",
};

export function stateLabel(state: State): string {
  return STATE_LABELS[state];
}

/** Formats the current activity, such as `draw PIPES, 40 %`. */
export function formatProgress(progress: Progress): string {
  const activity = [progress.stage, progress.layer].filter(Boolean).join(" ");
  return activity ? `${activity}, ${progress.percent} %` : `${progress.percent} %`;
}

/** Why a job has no outputs and what to do; null if there is nothing to report. */
export function failureMessage(job: Pick<Summary, "state" | "error">): string | null {
  if (job.error) return job.error.detail;
  if (job.state === "cancelled") return "The job was cancelled. Drop the drawing again to render it.";
  return null;
}

/** How an attempt ended, worded as `bulkhead dead show` does. */
export function attemptText(attempt: Pick<Attempt, "number" | "outcome" | "explanation">): string {
  const text = attempt.explanation ?? attempt.outcome;
  return text.startsWith("Attempt ") ? text : `Attempt ${attempt.number}: ${text}`;
}

const UNITS = ["KiB", "MiB", "GiB", "TiB"];

/** Formats a size in binary units, as the command line does; empty if it is unknown. */
export function formatBytes(bytes: number | null): string {
  if (bytes == null) return "";
  if (bytes < 1024) return `${bytes} bytes`;
  const exponent = Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length);
  const value = bytes / 1024 ** exponent;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${UNITS[exponent - 1]}`;
}
