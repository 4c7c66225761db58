// The floor page: the current state of all machines of a plant.

import { Problem } from "../api";
import { h } from "../dom";
import { followEvents, type ServerEvent } from "../events";
import type { Page } from "../main";
import { formatRoute } from "../router";
import type { Scope } from "../teardown";
import { DISPLAY_STATES, STYLES, type DisplayState } from "./display-state";
import { MachinePanel } from "./machine-panel";
import { fetchPlants, defaultPlant, recentPlants, plantForm, plantLinks, addRecentPlant, type Plant } from "./plants";
import { Readings, type Sensor } from "./readings";
import { FloorScene } from "./scene";

const CLICK_TOLERANCE = 4; // pixels between press and release

export const floorPage: Page = async (main, route, scope) => {
  const plants = await fetchPlants(scope.signal);
  if (scope.ended) return;
  const plant = route.name || defaultPlant(plants, recentPlants());
  if (plant) return new FloorPage(main, plant, plants, scope).open();
  main.replaceChildren(h("section", { class: "failure" }, h("h1", {}, "Select a plant"), plantLinks(plants, ""), plantForm("", openPlant)));
};

const openPlant = (plant: string): void => void (location.hash = formatRoute("floor", plant));

class FloorPage {
  readonly #readings = new Readings();
  readonly #status = h("p", { class: "view-status", role: "status" }, "Waiting for readings …");
  readonly #counts = new Map<DisplayState, HTMLOutputElement>();
  readonly #panel: MachinePanel;
  readonly #scene: FloorScene;

  constructor(
    main: HTMLElement,
    private readonly plant: string,
    plants: readonly Plant[],
    private readonly scope: Scope,
  ) {
    const legend = h("ul", { class: "legend", "aria-label": "Machines by state" });
    for (const state of DISPLAY_STATES) {
      const swatch = h("span", { class: "swatch", "aria-hidden": "true" });
      swatch.style.backgroundColor = STYLES[state].colour;
      const count = h("output", {}, "0");
      this.#counts.set(state, count);
      legend.append(h("li", {}, swatch, STYLES[state].label, count));
    }
    const view = h("div", { class: "floor-main" }, legend, this.#status);
    this.#panel = new MachinePanel(this.#readings, (index) => this.#select(index));
    const side = h("aside", { class: "side", "aria-label": "Machines" }, h("h1", {}, `Plant ${plant}`), plantLinks(plants, plant), plantForm(plant, openPlant), this.#panel.element);
    main.append(h("div", { class: "floor" }, view, side));
    this.#scene = new FloorScene(view, scope);
    this.#scene.canvas.setAttribute("aria-label", `Floor of plant ${plant}; the panel lists the machines`);
    this.#handleClicks();
    scope.listen(window, "theme", () => this.#scene.applyTheme());
  }

  /** Follows the events of the plant until the scope ends. */
  open(): void {
    followEvents(`/sensors/events?plant=${encodeURIComponent(this.plant)}`, this.scope.signal, (event) => this.#onEvent(event)).catch((error: Error) => {
      this.#status.textContent = error instanceof Problem ? error.message : String(error);
      this.#status.hidden = false;
    });
  }

  #onEvent({ name, data }: ServerEvent): void {
    const before = this.#readings.machines.length;
    const changed = name === "state" ? this.#readings.applyStates(JSON.parse(data) as Record<string, Sensor["state"]>) : this.#readings.apply(JSON.parse(data) as Sensor[]);
    const { machines } = this.#readings;
    if (machines.length !== before) this.#scene.layOut(machines.map(({ displayState }) => displayState));
    else if (changed.length) this.#scene.update(changed.map((index) => [index, machines[index]!.displayState] as const));
    if (machines.length) addRecentPlant(this.plant);
    this.#status.hidden = machines.length > 0;
    this.#status.textContent = "No machine of this plant has sent a heartbeat recently.";
    const counts = this.#readings.counts();
    for (const [state, output] of this.#counts) output.textContent = (counts.get(state) ?? 0).toLocaleString("en");
    this.#panel.refresh(machines.length !== before || changed.length > 0);
  }

  #select(index: number | null): void {
    this.#scene.highlight(index);
    this.#panel.show(index);
  }

  #handleClicks(): void {
    const { canvas } = this.#scene;
    let from = { x: 0, y: 0 };
    this.scope.listen<PointerEvent>(canvas, "pointerdown", (event) => (from = { x: event.clientX, y: event.clientY }));
    this.scope.listen<PointerEvent>(canvas, "pointerup", (event) => {
      if (Math.hypot(event.clientX - from.x, event.clientY - from.y) > CLICK_TOLERANCE) return;
      this.#select(this.#scene.pick(event.clientX, event.clientY));
    });
  }
}

