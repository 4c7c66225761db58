// The list of layers.

import type { Layer } from "../api";
import { button, h } from "../dom";
import { allOff, allOn, asDrawn, askedFor, dimmed, soloed, switchedOff, toggled, type LayerState } from "./layers";

const MANY = 10; // layers from which on one wants to search

export class LayerPanel {
  readonly element = h("section", { class: "layers", "aria-label": "Layers" });
  readonly #rows = new Map<number, LayerRow>();

  constructor(
    layers: readonly Layer[],
    private state: LayerState,
    private readonly changed: (state: LayerState) => void,
    drawOnly: ((names: string) => void) | null,
  ) {
    const drawn = layers.filter((layer) => layer.file);
    const presets = h(
      "div",
      { class: "presets", role: "group", "aria-label": "All layers" },
      button("As drawn", () => this.#change(asDrawn(layers))),
      button("All", () => this.#change(allOn(this.state, layers))),
      button("None", () => this.#change(allOff(this.state))),
    );
    const list = h("ul", {});
    for (const layer of drawn) {
      const row = new LayerRow(layer, (change) => this.#change(change(this.state)));
      this.#rows.set(layer.index, row);
      list.append(row.element);
    }
    this.element.append(h("h2", {}, `Layers (${drawn.length})`), presets);
    if (drawn.length >= MANY) this.element.append(this.#search());
    this.element.append(list);
    const off = switchedOff(layers);
    const empty = layers.filter((layer) => layer.visible && !layer.file && !layer.error).length;
    if (empty) this.element.append(h("p", { class: "note" }, `${empty} more ${empty === 1 ? "is" : "are"} empty.`));
    if (off.length) this.element.append(offLayers(layers, off, drawOnly));
    this.#show();
  }

  set(state: LayerState): void {
    this.state = state;
    this.#show();
  }

  #change(state: LayerState): void {
    this.set(state);
    this.changed(state);
  }

  #show(): void {
    for (const [index, row] of this.#rows) row.show(this.state, index);
  }

  #search(): HTMLElement {
    const field = h("input", { type: "search", placeholder: "Find a layer", "aria-label": "Find a layer" });
    field.addEventListener("input", () => {
      const part = field.value.toLowerCase();
      for (const row of this.#rows.values()) row.element.hidden = !row.name.toLowerCase().includes(part);
    });
    return field;
  }
}

/** Layers that are switched off have no picture: who wants to see some asks for another render, by `drawOnly`. */
function offLayers(layers: readonly Layer[], off: readonly Layer[], drawOnly: ((names: string) => void) | null): HTMLElement {
  const list = h("ul", {});
  const chosen = new Set<number>();
  const ask = button("Draw those chosen, too", () => drawOnly?.(askedFor(layers, chosen)!), { disabled: true });
  for (const { index, name } of off) {
    const box = h("input", { type: "checkbox", disabled: !drawOnly || askedFor(layers, new Set([index])) === null });
    box.addEventListener("change", () => {
      if (!chosen.delete(index)) chosen.add(index);
      ask.disabled = !chosen.size || askedFor(layers, chosen) === null;
    });
    list.append(h("li", {}, h("label", { title: name }, box, h("span", { class: "layer-name" }, name))));
  }
  return h("section", { class: "off", "aria-label": "Layers switched off" }, h("h2", {}, `Switched off (${off.length})`), list, drawOnly && ask);
}

class LayerRow {
  readonly element = h("li", {});
  readonly name: string;
  readonly #box = h("input", { type: "checkbox" });
  readonly #solo: HTMLButtonElement;
  readonly #opacity: HTMLInputElement;

  constructor(layer: Layer, change: (change: (state: LayerState) => LayerState) => void) {
    this.name = layer.name;
    const swatch = h("span", { class: "swatch", "aria-hidden": "true" });
    if (layer.colour) swatch.style.backgroundColor = layer.colour;
    this.#box.addEventListener("change", () => change((state) => toggled(state, layer.index)));
    this.#solo = button("Solo", () => change((state) => soloed(state, layer.index)), { class: "quiet", "aria-label": `Solo ${layer.name}` });
    this.#opacity = h("input", { type: "range", min: 0, max: 100, step: 5, "aria-label": `Opacity of ${layer.name}` });
    this.#opacity.addEventListener("input", () => change((state) => dimmed(state, layer.index, Number(this.#opacity.value))));
    this.element.append(h("label", { title: layer.name }, this.#box, swatch, h("span", { class: "layer-name" }, layer.name)), this.#opacity, this.#solo);
  }

  show(state: LayerState, index: number): void {
    this.#box.checked = state.on.has(index);
    this.#solo.setAttribute("aria-pressed", String(state.solo === index));
    this.#opacity.value = String(state.opacity.get(index) ?? 100);
    this.element.classList.toggle("muted", state.solo !== null && state.solo !== index);
  }
}
