// Which plant: the names that were seen here before, and any other.

import { h } from "../dom";

const KEY = "bulkhead-plants";
const REMEMBERED = 20;

export function knownPlants(): string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((name) => typeof name === "string") : [];
  } catch {
    return [];
  }
}

/** The latest one comes first. */
export function rememberPlant(name: string): void {
  const known = knownPlants();
  if (known[0] === name) return;
  localStorage.setItem(KEY, JSON.stringify([name, ...known.filter((each) => each !== name)].slice(0, REMEMBERED)));
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
