// The machine panel: the readings of the selected machine, and a searchable list as an alternative to the canvas.

import { button, h, announce } from "../dom";
import { STYLES } from "./display-state";
import { history, MEASURES, type Machine, type Readings } from "./readings";
import { BOX, sparkline } from "./sparkline";

const SVG = "http://www.w3.org/2000/svg";
const MAX_LISTED = 100; // machines; the search finds the others

export class MachinePanel {
  readonly element = h("div", {});
  readonly #details = h("section");
  readonly #search = h("input", { type: "search", placeholder: "Search machines", "aria-label": "Search machines" });
  readonly #list = h("ul", { class: "machines" });
  readonly #more = h("p", { class: "note" });
  #selected: number | null = null;

  constructor(
    private readonly readings: Readings,
    private readonly onSelect: (index: number | null) => void,
  ) {
    this.#search.addEventListener("input", () => this.#updateList());
    this.element.append(this.#details, this.#search, this.#list, this.#more);
  }

  show(index: number | null): void {
    this.#selected = index;
    this.#updateDetails();
    if (index !== null) announce(this.#details.textContent ?? ""); // once only, because the readings change every second
  }

  /** Updates the readings; also the list if machines were added or changed their display state. */
  refresh(statesChanged: boolean): void {
    this.#updateDetails();
    if (statesChanged) this.#updateList();
  }

  #updateDetails(): void {
    const machine = this.#selected === null ? undefined : this.readings.machines[this.#selected];
    if (!machine) return this.#details.replaceChildren();
    const { sensor, displayState } = machine;
    const seen = new Date(sensor.seen_at * 1000).toLocaleTimeString();
    this.#details.replaceChildren(
      h("h2", {}, sensor.machine),
      h("p", {}, `${STYLES[displayState].label}, last seen ${seen}`),
      ...MEASURES.map((_, measure) => measureRow(machine, measure)),
    );
  }

  #updateList(): void {
    const focused = (document.activeElement as HTMLElement | null)?.dataset.machine;
    const text = this.#search.value.toLowerCase();
    const matches: [number, Machine][] = [];
    for (const [index, machine] of this.readings.machines.entries()) {
      if (machine.sensor.machine.toLowerCase().includes(text)) matches.push([index, machine]);
    }
    const buttons = matches.slice(0, MAX_LISTED).map(([index, machine]) => machineButton(machine, () => this.onSelect(index)));
    this.#list.replaceChildren(...buttons.map((each) => h("li", {}, each)));
    buttons.find((each) => focused && each.dataset.machine === focused)?.focus();
    const more = matches.length - buttons.length;
    this.#more.textContent = more > 0 ? `${more.toLocaleString("en")} more: use the search.` : "";
  }
}

function machineButton({ sensor, displayState }: Machine, onSelect: () => void): HTMLButtonElement {
  const swatch = h("span", { class: "swatch", "aria-hidden": "true" });
  swatch.style.backgroundColor = STYLES[displayState].colour;
  const element = button("", onSelect, { class: "quiet", "data-machine": sensor.machine });
  element.append(swatch, sensor.machine, h("span", { class: "note" }, STYLES[displayState].label));
  return element;
}

function measureRow(machine: Machine, measure: number): HTMLElement {
  const { key, label, unit } = MEASURES[measure]!;
  const value = machine.sensor[key];
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${BOX.width} ${BOX.height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", sparkline(history(machine, measure)));
  svg.append(path);
  return h("div", { class: "reading" }, h("span", {}, label), h("span", { class: "value" }, value === null ? "–" : `${value.toLocaleString("en")} ${unit}`), svg);
}
