// What the operator's page shows, as values in and elements out.

import { h } from "../dom";
import { bytesWords } from "../jobs/words";

export interface Worker {
  name: string;
  pid: number;
  children: number[];
  done: number;
  uptime: number;
  fence: { current: number | null; peak: number | null; limit: number | null };
  recycled: number;
  died: number;
}

export interface Operations {
  jobs: Record<string, number>;
  waiting: Record<string, number>;
  workers: Worker[];
}

export interface Leak {
  format: string;
  engine: string;
  sureness: "unknown" | "clean" | "suspected" | "certain";
  gauge: string;
  jobs: number;
  leaving: number;
  bytes: number;
  files: number;
}

export interface Tickets {
  generation: number;
  rotated_at: number | null;
  interval: number;
  result: string;
  rotating: boolean;
}

export interface Heartbeats {
  last: { window: number; seconds: number; machines: number; beats: number } | null;
  age: number | null;
  late: number | null;
}

const SURENESS: Record<Leak["sureness"], string> = { unknown: "too few jobs", clean: "none", suspected: "suspected", certain: "certain" };

export function lanes({ waiting }: Operations): HTMLElement {
  const rows = Object.entries(waiting).map(([queue, count]) => [queue, number(count)]);
  return table("Lanes", ["Queue", "Waiting"], rows, "The broker does not answer: check BULKHEAD_BROKER_URL and the server.");
}

export function jobs({ jobs: counts }: Operations): HTMLElement {
  const rows = Object.entries(counts).map(([state, count]) => [state, number(count)]);
  return table("Jobs", ["State", "Jobs"], rows, "There are none.");
}

export function workers({ workers: all }: Operations): HTMLElement {
  const rows = all.map((each) => [
    each.name,
    `${each.pid} (${each.children.join(", ") || "no child"})`,
    fenceCell(each),
    `${number(each.recycled)}, ${number(each.died)} died`,
    duration(each.uptime),
    number(each.done),
  ]);
  const heads = ["Name", "Process (children)", "Fence", "Children replaced", "Up", "Done"];
  return table("Workers", heads, rows, "Nothing here yet: no worker answers. Start one: celery -A tasks worker -Q render", "wide");
}

/** Memory in words: `180 MB of 537 MB, 402 MB at most`. */
export function fenceWords({ current, peak, limit }: Worker["fence"]): string {
  if (current === null) return "nothing tells";
  const most = peak === null ? "" : `, ${bytesWords(peak)} at most`;
  return limit === null ? `${bytesWords(current)}, no limit${most}` : `${bytesWords(current)} of ${bytesWords(limit)}${most}`;
}

function fenceCell({ name, fence }: Worker): HTMLElement {
  const words = fenceWords(fence);
  const meter = fence.limit !== null && h("meter", { min: 0, max: fence.limit, high: 0.9 * fence.limit, value: fence.current, "aria-label": `Memory of ${name}` });
  return h("span", { class: "fence" }, meter, words);
}

export function leaks(findings: Leak[]): HTMLElement {
  const rows = findings.map((each) => [
    each.format,
    each.engine,
    each.sureness === "suspected" || each.sureness === "certain" ? `${SURENESS[each.sureness]} (${each.gauge})` : SURENESS[each.sureness],
    `${number(each.leaving)} of ${number(each.jobs)}`,
    bytesWords(each.bytes),
  ]);
  return table("Leak watch", ["Drawing", "Engine", "Leak", "Jobs leaving", "A job leaves"], rows, "Nothing here yet: no render was measured.");
}

/** `now` is seconds since 1970. */
export function tickets(found: Tickets, now: number): HTMLElement {
  const due = (found.rotated_at ?? now) + found.interval - now;
  const rows = [
    ["Generation", number(found.generation)],
    ["Last key", found.rotated_at === null ? "none" : `${duration(now - found.rotated_at)} ago`],
    ["Next key", found.rotating ? "on its way" : due >= 0 ? `in ${duration(due)}` : `overdue for ${duration(-due)}`],
    ["Last run", found.result || "none"],
  ];
  return table("Ticket keys", ["", ""], found.generation ? rows : [], "Nothing here yet: no node has keys from here. Take one in: bulkhead tickets join NODE HOST:PORT");
}

export function heartbeats({ last, age, late }: Heartbeats): HTMLElement {
  const rows = last && [
    ["Written", `${duration(age!)} ago`],
    ["Lag behind the last beat", `${late!.toFixed(1)} s`],
    ["Window", `${duration(last.window)}, written in ${last.seconds.toFixed(2)} s`],
    ["Machines in it", number(last.machines)],
    ["Beats a second", number(Math.round(last.beats / last.window))],
  ];
  return table("Coalescer", ["", ""], rows ?? [], "Nothing here yet: no heartbeats were written. Start the coalescer: python -m workers.heartbeats");
}

/** In place of a panel whose part is not run, or does not answer. */
export function absent(name: string, why: string): HTMLElement {
  return table(name, [], [], `Nothing here yet: ${why}`);
}

export function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

function number(value: number): string {
  return value.toLocaleString("en");
}

type Cell = string | HTMLElement;

/** A table; without heads its first column names the rows. */
function table(name: string, heads: string[], rows: Cell[][], none: string, kind = ""): HTMLElement {
  const named = heads.some(Boolean);
  const last = (column: number): string | null => (column > 0 && column === heads.length - 1 ? "number" : null);
  const body = h("tbody", {});
  for (const row of rows) {
    const cells = row.map((cell, column) => (named || column ? h("td", { class: last(column) }, cell) : h("th", { scope: "row" }, cell)));
    body.append(h("tr", {}, ...cells));
  }
  const head = h("tr", {}, ...heads.map((text, column) => h("th", { scope: "col", class: last(column) }, text)));
  return h(
    "section",
    { class: `panel ${kind}`.trim(), "aria-label": name, tabindex: 0 },
    h("h2", {}, name),
    rows.length ? h("table", {}, named && h("thead", {}, head), body) : h("p", { class: "note" }, none),
  );
}
