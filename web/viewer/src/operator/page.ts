// The operator's page: what waits, who works, what leaks or lags, and what died and why.

import { ask, Problem, read, type Render, type RenderPage, type Summary } from "../api";
import { button, h, say, tell, tellStale } from "../dom";
import { attemptList } from "../jobs/story";
import { stateWord } from "../jobs/words";
import type { Page } from "../main";
import { address } from "../router";
import type { Scope } from "../teardown";
import { absent, heartbeats, jobs, lanes, leaks, tickets, workers, type Heartbeats, type Leak, type Operations, type Tickets } from "./panels";

const LOOK = 5_000; // milliseconds between two looks
const LOOK_ASIDE = 30_000; // at what changes slowly
const DEAD = 50; // dead jobs shown: more of them have one cause

export const operatorPage: Page = async (main, _route, scope) => {
  const panels = h("div", { class: "panels" });
  const aside = h("div", { class: "panels" });
  const dead = h("section", { class: "panel", "aria-label": "Dead jobs" });
  main.append(h("h1", {}, "Operator"), panels, aside, dead);
  const look = async (): Promise<void> => {
    const now = await read<Operations>("/operations", scope.signal);
    renew(panels, [workers(now), lanes(now), jobs(now)]);
  };
  const lookAside = async (): Promise<void> => {
    const parts = await Promise.all([
      part<{ findings: Leak[] }>("Leak watch", "leaks", ({ findings }) => leaks(findings), scope),
      part<Tickets>("Ticket keys", "tickets", (found) => tickets(found, Date.now() / 1000), scope),
      part<Heartbeats>("Coalescer", "heartbeats", heartbeats, scope),
    ]);
    renew(aside, parts);
  };
  await Promise.all([look(), lookAside(), showDead(dead, scope)]);
  const lookAgain = async (): Promise<void> => {
    try {
      await look();
      tellStale("");
    } catch (error) {
      if (!scope.ended) tellStale((error as Error).message);
    }
  };
  const lookAsideAgain = async (): Promise<void> => {
    await lookAside();
    if (!dead.querySelector("[open], :focus")) await showDead(dead, scope); // else somebody reads a story
  };
  scope.every(LOOK, () => document.hidden || void lookAgain());
  scope.every(LOOK_ASIDE, () => document.hidden || void lookAsideAgain().catch(() => undefined)); // the other says why
};

/** Put new panels in place of old ones, whose elements stay: somebody may have scrolled one, or be in it with Tab. */
function renew(place: HTMLElement, panels: readonly HTMLElement[]): void {
  if (place.childElementCount !== panels.length) return place.replaceChildren(...panels);
  panels.forEach((panel, number) => place.children[number]!.replaceChildren(...panel.childNodes));
}

/** A panel of its own data; where that part is not run, or does not answer, the server's sentence says so. */
async function part<T>(name: string, path: string, panel: (found: T) => HTMLElement, scope: Scope): Promise<HTMLElement> {
  try {
    return panel(await read<T>(`/operations/${path}`, scope.signal));
  } catch (error) {
    if (error instanceof Problem && error.status !== 401) return absent(name, error.message);
    throw error;
  }
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
    if (details.open && !story.hasChildNodes()) void tellStory();
  });
  const tellStory = async (): Promise<void> => story.replaceChildren(attemptList(await read<Render>(`/renders/${job.id}`, scope.signal)));
  const act = async (method: string, path: string, done: string): Promise<void> => {
    try {
      await ask(path, { method, signal: scope.signal });
      say(done);
      changed();
    } catch (error) {
      if (!scope.ended) tell((error as Error).message);
    }
  };
  details.append(
    button("Try again", () => void act("POST", `/renders/${job.id}/replay`, `${job.filename} is on its way again.`), { class: "primary" }),
    button("Forget", () => confirm(`Forget ${job.filename} for good?`) && void act("DELETE", `/renders/${job.id}`, "It is gone.")),
    h("a", { href: address("drawing", job.id) }, "Its page"),
  );
  return details;
}
