// A job's story: why there is nothing to see, attempt by attempt, and another try.

import { ask, type Render } from "../api";
import { button, h, say } from "../dom";
import { attemptSentence, failureSentence, stateWord } from "./words";

/** The attempts, each with its time and its sentence. */
export function attemptList(render: Render): HTMLOListElement {
  const list = h("ol", { class: "story" });
  for (const attempt of render.attempts) {
    const began = h("time", { datetime: attempt.started_at }, new Date(attempt.started_at).toLocaleString());
    list.append(h("li", {}, began, " ", h("span", {}, attemptSentence(attempt))));
  }
  return list;
}

/** The page of a job that has no drawing to show; `again` is called once it is on its way again. */
export function storyPage(render: Render, signal: AbortSignal, again: () => void): HTMLElement {
  const failed = h("p", { role: "alert", hidden: true });
  const retry = button("Try again", () => void replay(), { class: "primary" });
  const replay = async (): Promise<void> => {
    retry.disabled = true;
    try {
      await ask(`/renders/${render.id}/replay`, { method: "POST", signal });
      say(`${render.filename} is on its way again.`);
      again();
    } catch (error) {
      if (signal.aborted) return;
      retry.disabled = false;
      failed.textContent = (error as Error).message;
      failed.hidden = false;
    }
  };
  return h(
    "section",
    { class: "failure" },
    h("h1", {}, render.filename || render.id),
    h("p", {}, h("span", { class: "badge" }, stateWord(render.state))),
    h("p", { class: "sentence" }, failureSentence(render) ?? ""),
    render.attempts.length > 0 && attemptList(render),
    failed,
    retry,
  );
}
