// Selection of a plant: active plants, recently viewed plants, or a name.

import { Problem, getJson } from "../api";
import { h } from "../dom";
import { saveItem, loadItem } from "../storage";
import { formatRoute } from "../router";

export interface Plant {
  plant: string;
  last_seen_at: number;
  machines: number;
}

const STORAGE_KEY = "bulkhead-plants";
const MAX_RECENT = 20;

export function recentPlants(): string[] {
  try {
    const names: unknown = JSON.parse(loadItem("localStorage", STORAGE_KEY) ?? "[]");
    return Array.isArray(names) ? names.filter((name) => typeof name === "string") : [];
  } catch {
    return [];
  }
}

/** Puts a plant at the front of the recently viewed ones. */
export function addRecentPlant(name: string): void {
  const recent = recentPlants();
  if (recent[0] === name) return;
  saveItem("localStorage", STORAGE_KEY, JSON.stringify([name, ...recent.filter((each) => each !== name)].slice(0, MAX_RECENT)));
}

export function plantForm(current: string, onSubmit: (plant: string) => void): HTMLFormElement {
  const field = h("input", { type: "search", value: current, list: "plants", "aria-label": "Plant", placeholder: "Name of the plant", required: true });
  const list = h("datalist", { id: "plants" });
  for (const name of recentPlants()) list.append(h("option", { value: name }));
  const form = h("form", { class: "plant-form" }, field, list, h("button", { class: "primary" }, "Show"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    onSubmit(field.value.trim());
  });
  return form;
}

/** Plants with recent heartbeats; empty if the server stores no readings. */
export async function fetchPlants(signal: AbortSignal): Promise<Plant[]> {
  try {
    return (await getJson<{ plants: Plant[] }>("/sensors/plants", signal)).plants;
  } catch (error) {
    if (error instanceof Problem && error.status !== 401) return [];
    throw error;
  }
}

/** The plant to show if none is named: the most recently viewed one, or the only one. */
export function defaultPlant(plants: readonly Plant[], recent: readonly string[]): string | undefined {
  const active = plants.map(({ plant }) => plant);
  return recent.find((name) => active.includes(name)) ?? (active.length > 1 ? undefined : (active[0] ?? recent[0]));
}

/** Links to all active plants. */
export function plantLinks(plants: readonly Plant[], current: string): HTMLElement {
  const list = h("ul", { class: "plant-links" });
  for (const { plant, machines } of plants) {
    const link = h("a", { href: formatRoute("floor", plant), "aria-current": plant === current && "page" }, plant);
    list.append(h("li", {}, link, h("span", { class: "note" }, `${machines.toLocaleString("en")} ${machines === 1 ? "machine" : "machines"}`)));
  }
  return h("nav", { "aria-label": "Plants", hidden: plants.length === 0 }, list);
}
