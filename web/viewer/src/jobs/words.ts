// A job in words.

import type { Attempt, Progress, State, Summary } from "../api";

const STATES: Record<State, string> = {
  accepted: "waits to be let in",
  queued: "waits for a worker",
  running: "is drawn",
  succeeded: "done",
  failed: "failed",
  dead: "given up",
  cancelled: "cancelled",
};

export function stateWord(state: State): string {
  return STATES[state];
}

/** What it does now: `draw PIPES, 40 %`. */
export function progressWords(progress: Progress): string {
  const what = [progress.stage, progress.layer].filter(Boolean).join(" ");
  return what ? `${what}, ${progress.percent} %` : `${progress.percent} %`;
}

/** Why there is nothing to look at, and what to do: the server's own sentence, as far as it has one. */
export function failureSentence(job: Pick<Summary, "state" | "error">): string | null {
  if (job.error) return job.error.detail;
  if (job.state === "cancelled") return "It was cancelled. Drop the drawing again to render it.";
  return null;
}

/** How a try ended, in the words of `bulkhead dead show`. */
export function attemptSentence(attempt: Pick<Attempt, "number" | "outcome" | "story">): string {
  const said = attempt.story ?? attempt.outcome;
  return said.startsWith("Attempt ") ? said : `Attempt ${attempt.number}: ${said}`;
}

export function bytesWords(bytes: number | null): string {
  if (bytes == null) return "";
  if (bytes < 1000) return `${bytes} bytes`;
  const [value, unit] = bytes < 1e6 ? [bytes / 1e3, "kB"] : bytes < 1e9 ? [bytes / 1e6, "MB"] : [bytes / 1e9, "GB"];
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}
