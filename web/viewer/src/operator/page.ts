// The operator's page: what waits, who works, and what died and why.

import { ask, read, type Render, type RenderPage, type Summary } from "../api";
import { button, h, say } from "../dom";
import { attemptList } from "../jobs/story";
import { stateWord } from "../jobs/words";
import type { Page } from "../main";
import { address } from "../router";
import type { Scope } from "../teardown";

const LOOK = 5_000; // milliseconds between two looks
const DEAD = 50; // dead jobs shown: more of them have one cause

interface Worker {
  name: string;
  pid: number;
  children: number[];
  done: number;
  uptime: number;
}

interface Operations {
  jobs: Record<string, number>;
  waiting: Record<string, number>;
  workers: Worker[];
}

export const operatorPage: Page = async (main, _route, scope) => {
  const panels = h("div", { class: "panels" });
  const dead = h("section", { class: "panel", "aria-label": "Dead jobs" });
  main.append(h("h1", {}, "Operator"), panels, dead);
  const look = async (): Promise<void> => {
    const now = await read<Operations>("/operations", scope.signal);
    panels.replaceChildren(lanes(now), jobs(now), workers(now));
  };
  await Promise.all([look(), showDead(dead, scope)]);
  scope.every(LOOK, () => document.hidden || look().catch((error: Error) => scope.ended || say(error.message)));
};

function lanes({ waiting }: Operations): HTMLElement {
  const rows = Object.entries(waiting).map(([queue, count]) => [queue, count.toLocaleString("en")]);
  return table("Lanes", ["Queue", "Waiting"], rows, "The broker does not answer: check BULKHEAD_BROKER_URL and the server.");
}

function jobs({ jobs: counts }: Operations): HTMLElement {
  const rows = Object.entries(counts).map(([state, count]) => [state, count.toLocaleString("en")]);
  return table("Jobs", ["State", "Jobs"], rows, "There are none.");
}

function workers({ workers: all }: Operations): HTMLElement {
  const rows = all.map((each) => [each.name, `${each.pid} (${each.children.join(", ") || "no child"})`, duration(each.uptime), each.done.toLocaleString("en")]);
  return table("Workers", ["Name", "Process (children)", "Up", "Done"], rows, "No worker answers. Start one: celery -A tasks worker -Q render");
}

export function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

function table(name: string, heads: string[], rows: string[][], none: string): HTMLElement {
  const body = h("tbody", {});
  const kind = (column: number): string | false => column > 0 && column === heads.length - 1 && "number";
  for (const row of rows) body.append(h("tr", {}, ...row.map((cell, column) => h("td", { class: kind(column) || null }, cell))));
  const head = h("tr", {}, ...heads.map((text, column) => h("th", { scope: "col", class: kind(column) || null }, text)));
  return h(
    "section",
    { class: "panel", "aria-label": name, tabindex: 0 },
    h("h2", {}, name),
    rows.length ? h("table", {}, h("thead", {}, head), body) : h("p", { class: "note" }, none),
  );
}

async function showDead(panel: HTMLElement, scope: Scope): Promise<void> {
  const { renders } = await read<RenderPage>(`/renders?state=dead&limit=${DEAD}`, scope.signal);
  const stories = renders.map((job) => deadJob(job, scope, () => void showDead(panel, scope)));
  panel.replaceChildren(h("h2", {}, "Dead jobs"), ...(stories.length ? stories : [h("p", { class: "note" }, "Nothing is dead.")]));
}

/** A dead job: its sentence at once, its story attempt by attempt when it is opened. */
function deadJob(job: Summary, scope: Scope, changed: () => void): HTMLElement {
  const story = h("div", {});
  const details = h("details", {}, h("summary", {}, `${job.filename || job.id}: ${job.error?.detail ?? stateWord(job.state)}`), story);
  details.addEventListener("toggle", () => {
    if (details.open && !story.hasChildNodes()) void tell();
  });
  const tell = async (): Promise<void> => story.replaceChildren(attemptList(await read<Render>(`/renders/${job.id}`, scope.signal)));
  const act = async (method: string, path: string, done: string): Promise<void> => {
    try {
      await ask(path, { method, signal: scope.signal });
      say(done);
      changed();
    } catch (error) {
      if (!scope.ended) say((error as Error).message);
    }
  };
  details.append(
    button("Try again", () => void act("POST", `/renders/${job.id}/replay`, `${job.filename} is on its way again.`), { class: "primary" }),
    button("Forget", () => confirm(`Forget ${job.filename} for good?`) && void act("DELETE", `/renders/${job.id}`, "It is gone.")),
    h("a", { href: address("drawing", job.id) }, "Its page"),
  );
  return details;
}
