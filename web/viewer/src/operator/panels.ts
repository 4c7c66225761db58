// The panels of the operator page, as pure functions from data to elements.

import { h } from "../dom";
import { formatBytes } from "../jobs/text";

export interface Worker {
  name: string;
  pid: number;
  children: number[];
  completed_jobs: number;
  uptime: number;
  memory: { current: number | null; peak: number | null; limit: number | null };
  recycled: number;
  crashed: number;
}

export interface Operations {
  jobs: Record<string, number>;
  waiting: Record<string, number>;
  workers: Worker[];
}

export interface Leak {
  format: string;
  engine: string;
  confidence: "unknown" | "clean" | "suspected" | "certain";
  resource: string;
  jobs: number;
  leaking_jobs: number;
  leaked_bytes: number;
  leaked_files: number;
}

export interface Tickets {
  generation: number;
  rotated_at: number | null;
  interval: number;
  result: string;
  rotating: boolean;
}

export interface Heartbeats {
  last: { window_seconds: number; flush_seconds: number; machines: number; beats: number } | null;
  age: number | null;
  lag: number | null;
}

const CONFIDENCE: Record<Leak["confidence"], string> = { unknown: "unknown", clean: "clean", suspected: "suspected", certain: "certain" };

export function queues({ waiting }: Operations): HTMLElement {
  const rows = Object.entries(waiting).map(([queue, count]) => [queue, number(count)]);
  return table("Queues", ["Queue", "Messages"], rows, "The broker does not respond: check BULKHEAD_BROKER_URL and that RabbitMQ is running.");
}

export function jobs({ jobs: counts }: Operations): HTMLElement {
  const rows = Object.entries(counts).map(([state, count]) => [state, number(count)]);
  return table("Jobs", ["State", "Jobs"], rows, "No jobs.");
}

export function workers({ workers: all }: Operations): HTMLElement {
  const rows = all.map((each) => [
    each.name,
    `${each.pid} (${each.children.join(", ") || "no children"})`,
    memoryCell(each),
    `${number(each.recycled)} recycled, ${number(each.crashed)} crashed`,
    duration(each.uptime),
    number(each.completed_jobs),
  ]);
  const headers = ["Name", "PID (children)", "Memory", "Child processes ended", "Uptime", "Jobs done"];
  return table("Workers", headers, rows, "No workers respond. Start one: celery -A tasks worker -Q render", "wide");
}

/** Formats memory usage, such as `180 MiB of 512 MiB, peak 402 MiB`. */
export function formatMemory({ current, peak, limit }: Worker["memory"]): string {
  if (current === null) return "unknown";
  const peakText = peak === null ? "" : `, peak ${formatBytes(peak)}`;
  return limit === null ? `${formatBytes(current)}, no limit${peakText}` : `${formatBytes(current)} of ${formatBytes(limit)}${peakText}`;
}

function memoryCell({ name, memory }: Worker): HTMLElement {
  const text = formatMemory(memory);
  const meter = memory.limit !== null && h("meter", { min: 0, max: memory.limit, high: 0.9 * memory.limit, value: memory.current, "aria-label": `Memory of ${name}` });
  return h("span", { class: "memory" }, meter, text);
}

export function leaks(findings: Leak[]): HTMLElement {
  const rows = findings.map((each) => [
    each.format,
    each.engine,
    each.confidence === "suspected" || each.confidence === "certain" ? `${CONFIDENCE[each.confidence]} (${each.resource})` : CONFIDENCE[each.confidence],
    `${number(each.leaking_jobs)} of ${number(each.jobs)}`,
    each.resource === "files" ? `${each.leaked_files.toFixed(2)} files` : formatBytes(each.leaked_bytes),
  ]);
  return table("Leak detection", ["Format", "Engine", "Confidence", "Leaking jobs", "Leaked per job"], rows, "No renders have been measured yet.");
}

/** `now` is in seconds since 1970. */
export function tickets(status: Tickets, now: number): HTMLElement {
  const due = (status.rotated_at ?? now) + status.interval - now;
  const rows = [
    ["Generation", number(status.generation)],
    ["Last rotation", status.rotated_at === null ? "never" : `${duration(now - status.rotated_at)} ago`],
    ["Next rotation", status.rotating ? "in progress" : due >= 0 ? `in ${duration(due)}` : `overdue by ${duration(-due)}`],
    ["Result", status.result || "none"],
  ];
  return table("Ticket keys", ["", ""], status.generation ? rows : [], "No nodes have joined yet. Add one: bulkhead tickets join NODE HOST:PORT");
}

export function heartbeats({ last, age, lag }: Heartbeats): HTMLElement {
  const rows = last && [
    ["Last flush", `${duration(age!)} ago`],
    ["Lag", `${lag!.toFixed(1)} s`],
    ["Window", `${duration(last.window_seconds)}, flush took ${last.flush_seconds.toFixed(2)} s`],
    ["Machines per window", number(last.machines)],
    ["Beats per second", number(Math.round(last.beats / last.window_seconds))],
  ];
  return table("Heartbeats", ["", ""], rows ?? [], "No heartbeats have been written yet. Start the coalescer: python -m workers.heartbeats");
}

/** A panel for a part of the platform that is not available. */
export function unavailable(name: string, reason: string): HTMLElement {
  return table(name, [], [], `Not available: ${reason}`);
}

export function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

function number(value: number): string {
  return value.toLocaleString("en");
}

type Cell = string | HTMLElement;

/** A panel with a table. Without headers, the first column contains row headers. */
function table(name: string, headers: string[], rows: Cell[][], emptyText: string, modifier = ""): HTMLElement {
  const hasHeader = headers.some(Boolean);
  const alignment = (column: number): string | null => (column > 0 && column === headers.length - 1 ? "number" : null);
  const body = h("tbody", {});
  for (const row of rows) {
    const cells = row.map((cell, column) => (hasHeader || column ? h("td", { class: alignment(column) }, cell) : h("th", { scope: "row" }, cell)));
    body.append(h("tr", {}, ...cells));
  }
  const head = h("tr", {}, ...headers.map((text, column) => h("th", { scope: "col", class: alignment(column) }, text)));
  return h(
    "section",
    { class: `panel ${modifier}`.trim(), "aria-label": name, tabindex: 0 },
    h("h2", {}, name),
    rows.length ? h("table", {}, hasHeader && h("thead", {}, head), body) : h("p", { class: "note" }, emptyText),
  );
}
