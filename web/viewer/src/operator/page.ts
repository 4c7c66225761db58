// The operator page: workers, queues, jobs, leak detection, ticket keys, heartbeats and dead jobs.

import { request, Problem, getJson, type Render, type RenderPage, type Summary } from "../api";
import { button, h, announce, notify, showStaleNotice } from "../dom";
import { attemptList } from "../jobs/explanation";
import { stateLabel } from "../jobs/text";
import type { Page } from "../main";
import { formatRoute } from "../router";
import type { Scope } from "../teardown";
import { unavailable, heartbeats, jobs, queues, leaks, tickets, workers, type Heartbeats, type Leak, type Operations, type Tickets } from "./panels";

const POLL_INTERVAL = 5_000; // milliseconds
const SLOW_POLL_INTERVAL = 30_000; // milliseconds; for data that changes slowly
const MAX_DEAD_JOBS = 50; // listed jobs

export const operatorPage: Page = async (main, _route, scope) => {
  const panels = h("div", { class: "panels" });
  const slowPanels = h("div", { class: "panels" });
  const dead = h("section", { class: "panel", "aria-label": "Dead jobs" });
  main.append(h("h1", {}, "Operator"), panels, slowPanels, dead);
  const poll = async (): Promise<void> => {
    const operations = await getJson<Operations>("/operations", scope.signal);
    replacePanels(panels, [workers(operations), queues(operations), jobs(operations)]);
  };
  const pollSlow = async (): Promise<void> => {
    const parts = await Promise.all([
      loadPanel<{ findings: Leak[] }>("Leak detection", "leaks", ({ findings }) => leaks(findings), scope),
      loadPanel<Tickets>("Ticket keys", "tickets", (status) => tickets(status, Date.now() / 1000), scope),
      loadPanel<Heartbeats>("Heartbeats", "heartbeats", heartbeats, scope),
    ]);
    replacePanels(slowPanels, parts);
  };
  await Promise.all([poll(), pollSlow(), showDeadJobs(dead, scope)]);
  const pollAgain = async (): Promise<void> => {
    try {
      await poll();
      showStaleNotice("");
    } catch (error) {
      if (!scope.ended) showStaleNotice((error as Error).message);
    }
  };
  const pollSlowAgain = async (): Promise<void> => {
    await pollSlow();
    if (!dead.querySelector("[open], :focus")) await showDeadJobs(dead, scope); // an open entry is being read
  };
  scope.every(POLL_INTERVAL, () => document.hidden || void pollAgain());
  scope.every(SLOW_POLL_INTERVAL, () => document.hidden || void pollSlowAgain().catch(() => undefined)); // the poll of the other panels reports the error
};

/** Replaces the contents of panels but keeps their elements, to preserve scroll positions and focus. */
function replacePanels(container: HTMLElement, panels: readonly HTMLElement[]): void {
  if (container.childElementCount !== panels.length) return container.replaceChildren(...panels);
  panels.forEach((panel, number) => container.children[number]!.replaceChildren(...panel.childNodes));
}

/** Loads the data of a panel; shows the server's message if that part of the platform is not available. */
async function loadPanel<T>(name: string, path: string, panel: (data: T) => HTMLElement, scope: Scope): Promise<HTMLElement> {
  try {
    return panel(await getJson<T>(`/operations/${path}`, scope.signal));
  } catch (error) {
    if (error instanceof Problem && error.status !== 401) return unavailable(name, error.message);
    throw error;
  }
}

async function showDeadJobs(panel: HTMLElement, scope: Scope): Promise<void> {
  const { renders } = await getJson<RenderPage>(`/renders?state=dead&limit=${MAX_DEAD_JOBS}`, scope.signal);
  const entries = renders.map((job) => deadJobEntry(job, scope, () => void showDeadJobs(panel, scope)));
  panel.replaceChildren(h("h2", {}, "Dead jobs"), ...(entries.length ? entries : [h("p", { class: "note" }, "No dead jobs.")]));
}

/** An entry with the error of a dead job; opening it loads the explanation of each attempt. */
function deadJobEntry(job: Summary, scope: Scope, onChange: () => void): HTMLElement {
  const explanation = h("div", {});
  const details = h("details", {}, h("summary", {}, `${job.filename || job.id}: ${job.error?.detail ?? stateLabel(job.state)}`), explanation);
  details.addEventListener("toggle", () => {
    if (details.open && !explanation.hasChildNodes()) void showExplanation();
  });
  const showExplanation = async (): Promise<void> => explanation.replaceChildren(attemptList(await getJson<Render>(`/renders/${job.id}`, scope.signal)));
  const perform = async (method: string, path: string, message: string): Promise<void> => {
    try {
      await request(path, { method, signal: scope.signal });
      announce(message);
      onChange();
    } catch (error) {
      if (!scope.ended) notify((error as Error).message);
    }
  };
  details.append(
    button("Replay", () => void perform("POST", `/renders/${job.id}/replay`, `${job.filename} was queued again.`), { class: "primary" }),
    button("Delete", () => confirm(`Delete ${job.filename} permanently?`) && void perform("DELETE", `/renders/${job.id}`, "The job was deleted.")),
    h("a", { href: formatRoute("drawing", job.id) }, "Details"),
  );
  return details;
}
