// Machines in words: one with its readings, and a list to choose from for those who do not click on the floor.

import { button, h, say } from "../dom";
import { LOOKS } from "./kinds";
import { history, MEASURES, type Machine, type Readings } from "./readings";
import { BOX, sparkline } from "./sparkline";

const SVG = "http://www.w3.org/2000/svg";
const LISTED = 100; // machines: who looks for another one searches

export class MachinePanel {
  readonly element = h("div", {});
  readonly #details = h("section");
  readonly #find = h("input", { type: "search", placeholder: "Find a machine", "aria-label": "Find a machine" });
  readonly #list = h("ul", { class: "machines" });
  readonly #more = h("p", { class: "note" });
  #chosen: number | null = null;

  constructor(
    private readonly readings: Readings,
    private readonly choose: (place: number | null) => void,
  ) {
    this.#find.addEventListener("input", () => this.#listing());
    this.element.append(this.#details, this.#find, this.#list, this.#more);
  }

  show(place: number | null): void {
    this.#chosen = place;
    this.#detail();
    if (place !== null) say(this.#details.textContent ?? ""); // once: what changes each second would never end
  }

  /** Take over what is new; `look` says whether any machine looks otherwise or is new. */
  refresh(look: boolean): void {
    this.#detail();
    if (look) this.#listing();
  }

  #detail(): void {
    const machine = this.#chosen === null ? undefined : this.readings.machines[this.#chosen];
    if (!machine) return this.#details.replaceChildren();
    const { sensor, kind } = machine;
    const seen = new Date(sensor.seen_at * 1000).toLocaleTimeString();
    this.#details.replaceChildren(
      h("h2", {}, sensor.machine),
      h("p", {}, `${LOOKS[kind].words}, seen ${seen}`),
      ...MEASURES.map((_, measure) => reading(machine, measure)),
    );
  }

  #listing(): void {
    const focused = (document.activeElement as HTMLElement | null)?.dataset.machine;
    const part = this.#find.value.toLowerCase();
    const found: [number, Machine][] = [];
    for (const [place, machine] of this.readings.machines.entries()) {
      if (machine.sensor.machine.toLowerCase().includes(part)) found.push([place, machine]);
    }
    const buttons = found.slice(0, LISTED).map(([place, machine]) => rowButton(machine, () => this.choose(place)));
    this.#list.replaceChildren(...buttons.map((each) => h("li", {}, each)));
    buttons.find((each) => focused && each.dataset.machine === focused)?.focus();
    const more = found.length - buttons.length;
    this.#more.textContent = more > 0 ? `${more.toLocaleString("en")} more: find them by name.` : "";
  }
}

function rowButton({ sensor, kind }: Machine, choose: () => void): HTMLButtonElement {
  const swatch = h("span", { class: "swatch", "aria-hidden": "true" });
  swatch.style.backgroundColor = LOOKS[kind].colour;
  const made = button("", choose, { class: "quiet", "data-machine": sensor.machine });
  made.append(swatch, sensor.machine, h("span", { class: "note" }, LOOKS[kind].words));
  return made;
}

function reading(machine: Machine, measure: number): HTMLElement {
  const { key, words, unit } = MEASURES[measure]!;
  const value = machine.sensor[key];
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${BOX.width} ${BOX.height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", sparkline(history(machine, measure)));
  svg.append(path);
  return h("div", { class: "reading" }, h("span", {}, words), h("span", { class: "value" }, value === null ? "–" : `${value.toLocaleString("en")} ${unit}`), svg);
}
