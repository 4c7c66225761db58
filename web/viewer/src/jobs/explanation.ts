// Explains why a job failed, attempt by attempt, and replays it.

import { request, type Render } from "../api";
import { button, h, announce } from "../dom";
import { attemptText, failureMessage, stateLabel } from "./text";

/** The attempts, each with its start time and explanation. */
export function attemptList(render: Render): HTMLOListElement {
  const list = h("ol", { class: "attempts" });
  for (const attempt of render.attempts) {
    const started = h("time", { datetime: attempt.started_at }, new Date(attempt.started_at).toLocaleString());
    list.append(h("li", {}, started, " ", h("span", {}, attemptText(attempt))));
  }
  return list;
}

/** The page of a job that did not succeed; calls `onReplay` when it has been queued again. */
export function failurePage(render: Render, signal: AbortSignal, onReplay: () => void): HTMLElement {
  const alert = h("p", { role: "alert", hidden: true });
  const replayButton = button("Replay", () => void replay(), { class: "primary" });
  const replay = async (): Promise<void> => {
    replayButton.disabled = true;
    try {
      await request(`/renders/${render.id}/replay`, { method: "POST", signal });
      announce(`${render.filename} was queued again.`);
      onReplay();
    } catch (error) {
      if (signal.aborted) return;
      replayButton.disabled = false;
      alert.textContent = (error as Error).message;
      alert.hidden = false;
    }
  };
  return h(
    "section",
    { class: "failure" },
    h("h1", {}, render.filename || render.id),
    h("p", {}, h("span", { class: "badge" }, stateLabel(render.state))),
    h("p", { class: "failure-message" }, failureMessage(render) ?? ""),
    render.attempts.length > 0 && attemptList(render),
    alert,
    replayButton,
  );
}
