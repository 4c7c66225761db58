// The plant floor: every machine of a plant, as it is now.

import { Problem } from "../api";
import { h } from "../dom";
import { follow, type ServerEvent } from "../events";
import type { Page } from "../main";
import { address } from "../router";
import type { Scope } from "../teardown";
import { KINDS, LOOKS, type Kind } from "./kinds";
import { MachinePanel } from "./panel";
import { heardPlants, homePlant, knownPlants, plantChoice, plantLinks, rememberPlant, type Plant } from "./plants";
import { Readings, type Sensor } from "./readings";
import { FloorScene } from "./scene";

const CLICK = 4; // pixels that a finger may tremble

export const floorPage: Page = async (main, route, scope) => {
  const plants = await heardPlants(scope.signal);
  if (scope.ended) return;
  const plant = route.name || homePlant(plants, knownPlants());
  if (plant) return new Floor(main, plant, plants, scope).open();
  main.replaceChildren(h("section", { class: "failure" }, h("h1", {}, "Which plant?"), plantLinks(plants, ""), plantChoice("", open)));
};

const open = (plant: string): void => void (location.hash = address("floor", plant));

class Floor {
  readonly #readings = new Readings();
  readonly #status = h("p", { class: "desk-status", role: "status" }, "Waiting for machines …");
  readonly #counts = new Map<Kind, HTMLOutputElement>();
  readonly #panel: MachinePanel;
  readonly #scene: FloorScene;

  constructor(
    main: HTMLElement,
    private readonly plant: string,
    plants: readonly Plant[],
    private readonly scope: Scope,
  ) {
    const legend = h("ul", { class: "legend", "aria-label": "Machines by state" });
    for (const kind of KINDS) {
      const swatch = h("span", { class: "swatch", "aria-hidden": "true" });
      swatch.style.backgroundColor = LOOKS[kind].colour;
      const count = h("output", {}, "0");
      this.#counts.set(kind, count);
      legend.append(h("li", {}, swatch, LOOKS[kind].words, count));
    }
    const view = h("div", { class: "floor-main" }, legend, this.#status);
    this.#panel = new MachinePanel(this.#readings, (place) => this.#choose(place));
    const side = h("aside", { class: "side", "aria-label": "Machines" }, h("h1", {}, `Plant ${plant}`), plantLinks(plants, plant), plantChoice(plant, open), this.#panel.element);
    main.append(h("div", { class: "floor" }, view, side));
    this.#scene = new FloorScene(view, scope);
    this.#scene.canvas.setAttribute("aria-label", `Floor of plant ${plant}; the machines are listed beside it`);
    this.#takeClicks();
    scope.listen(window, "theme", () => this.#scene.dress());
  }

  /** Follow the plant until the page is left. */
  open(): void {
    follow(`/sensors/events?plant=${encodeURIComponent(this.plant)}`, this.scope.signal, (event) => this.#hear(event)).catch((error: Error) => {
      this.#status.textContent = error instanceof Problem ? error.message : String(error);
      this.#status.hidden = false;
    });
  }

  #hear({ name, data }: ServerEvent): void {
    const before = this.#readings.machines.length;
    const changed = name === "state" ? this.#readings.applyStates(JSON.parse(data) as Record<string, Sensor["state"]>) : this.#readings.apply(JSON.parse(data) as Sensor[]);
    const { machines } = this.#readings;
    if (machines.length !== before) this.#scene.lay(machines.map(({ kind }) => kind));
    else if (changed.length) this.#scene.change(changed.map((place) => [place, machines[place]!.kind] as const));
    if (machines.length) rememberPlant(this.plant);
    this.#status.hidden = machines.length > 0;
    this.#status.textContent = "No machine of this plant was heard lately.";
    const counts = this.#readings.counts();
    for (const [kind, output] of this.#counts) output.textContent = (counts.get(kind) ?? 0).toLocaleString("en");
    this.#panel.refresh(machines.length !== before || changed.length > 0);
  }

  #choose(place: number | null): void {
    this.#scene.mark(place);
    this.#panel.show(place);
  }

  #takeClicks(): void {
    const { canvas } = this.#scene;
    let from = { x: 0, y: 0 };
    this.scope.listen<PointerEvent>(canvas, "pointerdown", (event) => (from = { x: event.clientX, y: event.clientY }));
    this.scope.listen<PointerEvent>(canvas, "pointerup", (event) => {
      if (Math.hypot(event.clientX - from.x, event.clientY - from.y) > CLICK) return;
      this.#choose(this.#scene.pick(event.clientX, event.clientY));
    });
  }
}

