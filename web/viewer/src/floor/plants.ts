// Which plant: those that were heard lately, the names that were seen here before, and any other.

import { Problem, read } from "../api";
import { h } from "../dom";
import { keep, kept } from "../kept";
import { address } from "../router";

export interface Plant {
  plant: string;
  heard_at: number;
  machines: number;
}

const KEY = "bulkhead-plants";
const REMEMBERED = 20;

export function knownPlants(): string[] {
  try {
    const names: unknown = JSON.parse(kept("localStorage", KEY) ?? "[]");
    return Array.isArray(names) ? names.filter((name) => typeof name === "string") : [];
  } catch {
    return [];
  }
}

/** The latest one comes first. */
export function rememberPlant(name: string): void {
  const known = knownPlants();
  if (known[0] === name) return;
  keep("localStorage", KEY, JSON.stringify([name, ...known.filter((each) => each !== name)].slice(0, REMEMBERED)));
}

export function plantChoice(now: string, choose: (plant: string) => void): HTMLFormElement {
  const field = h("input", { type: "search", value: now, list: "plants", "aria-label": "Plant", placeholder: "Name of a plant", required: true });
  const list = h("datalist", { id: "plants" });
  for (const name of knownPlants()) list.append(h("option", { value: name }));
  const form = h("form", { class: "plants" }, field, list, h("button", { class: "primary" }, "Show"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    choose(field.value.trim());
  });
  return form;
}

/** Those that were heard lately; none where the server knows of none, or keeps no readings. */
export async function heardPlants(signal: AbortSignal): Promise<Plant[]> {
  try {
    return (await read<{ plants: Plant[] }>("/sensors/plants", signal)).plants;
  } catch (error) {
    if (error instanceof Problem && error.status !== 401) return [];
    throw error;
  }
}

/** Where to go without a name: the plant that was looked at last, or the only one. */
export function homePlant(plants: readonly Plant[], known: readonly string[]): string | undefined {
  const heard = plants.map(({ plant }) => plant);
  return known.find((name) => heard.includes(name)) ?? (heard.length > 1 ? undefined : (heard[0] ?? known[0]));
}

/** A link to each plant. */
export function plantLinks(plants: readonly Plant[], now: string): HTMLElement {
  const list = h("ul", { class: "plant-links" });
  for (const { plant, machines } of plants) {
    const link = h("a", { href: address("floor", plant), "aria-current": plant === now && "page" }, plant);
    list.append(h("li", {}, link, h("span", { class: "note" }, `${machines.toLocaleString("en")} ${machines === 1 ? "machine" : "machines"}`)));
  }
  return h("nav", { "aria-label": "Plants", hidden: plants.length === 0 }, list);
}
