// The layer panel.

import type { Layer } from "../api";
import { button, h } from "../dom";
import { allOff, allOn, defaultLayers, layersOption, withOpacity, soloed, switchedOff, toggled, type LayerState } from "./layers";

const SEARCH_THRESHOLD = 10; // number of layers from which a search field is shown

export class LayerPanel {
  readonly element = h("section", { class: "layers", "aria-label": "Layers" });
  readonly #rows = new Map<number, LayerRow>();

  constructor(
    layers: readonly Layer[],
    private state: LayerState,
    private readonly onChange: (state: LayerState) => void,
    renderLayers: ((names: string) => void) | null,
  ) {
    const drawn = layers.filter((layer) => layer.file);
    const presets = h(
      "div",
      { class: "presets", role: "group", "aria-label": "All layers" },
      button("Default", () => this.#change(defaultLayers(layers))),
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
    if (drawn.length >= SEARCH_THRESHOLD) this.element.append(this.#searchField());
    this.element.append(list);
    const off = switchedOff(layers);
    const empty = layers.filter((layer) => layer.visible && !layer.file && !layer.error).length;
    if (empty) this.element.append(h("p", { class: "note" }, `${empty} empty ${empty === 1 ? "layer is" : "layers are"} not listed.`));
    if (off.length) this.element.append(switchedOffLayers(layers, off, renderLayers));
    this.#update();
  }

  set(state: LayerState): void {
    this.state = state;
    this.#update();
  }

  #change(state: LayerState): void {
    this.set(state);
    this.onChange(state);
  }

  #update(): void {
    for (const [index, row] of this.#rows) row.update(this.state, index);
  }

  #searchField(): HTMLElement {
    const field = h("input", { type: "search", placeholder: "Search layers", "aria-label": "Search layers" });
    field.addEventListener("input", () => {
      const text = field.value.toLowerCase();
      for (const row of this.#rows.values()) row.element.hidden = !row.name.toLowerCase().includes(text);
    });
    return field;
  }
}

/** Layers that are off have no image; `renderLayers` requests a render that includes the selected ones. */
function switchedOffLayers(layers: readonly Layer[], off: readonly Layer[], renderLayers: ((names: string) => void) | null): HTMLElement {
  const list = h("ul", {});
  const selected = new Set<number>();
  const renderButton = button("Render selected layers", () => renderLayers?.(layersOption(layers, selected)!), { disabled: true });
  for (const { index, name } of off) {
    const checkbox = h("input", { type: "checkbox", disabled: !renderLayers || layersOption(layers, new Set([index])) === null });
    checkbox.addEventListener("change", () => {
      if (!selected.delete(index)) selected.add(index);
      renderButton.disabled = !selected.size || layersOption(layers, selected) === null;
    });
    list.append(h("li", {}, h("label", { title: name }, checkbox, h("span", { class: "layer-name" }, name))));
  }
  return h("section", { class: "off", "aria-label": "Layers turned off" }, h("h2", {}, `Turned off (${off.length})`), list, renderLayers && renderButton);
}

class LayerRow {
  readonly element = h("li", {});
  readonly name: string;
  readonly #checkbox = h("input", { type: "checkbox" });
  readonly #solo: HTMLButtonElement;
  readonly #opacity: HTMLInputElement;

  constructor(layer: Layer, change: (change: (state: LayerState) => LayerState) => void) {
    this.name = layer.name;
    const swatch = h("span", { class: "swatch", "aria-hidden": "true" });
    if (layer.colour) swatch.style.backgroundColor = layer.colour;
    this.#checkbox.addEventListener("change", () => change((state) => toggled(state, layer.index)));
    this.#solo = button("Solo", () => change((state) => soloed(state, layer.index)), { class: "quiet", "aria-label": `Solo ${layer.name}` });
    this.#opacity = h("input", { type: "range", min: 0, max: 100, step: 5, "aria-label": `Opacity of ${layer.name}` });
    this.#opacity.addEventListener("input", () => change((state) => withOpacity(state, layer.index, Number(this.#opacity.value))));
    this.element.append(h("label", { title: layer.name }, this.#checkbox, swatch, h("span", { class: "layer-name" }, layer.name)), this.#opacity, this.#solo);
  }

  update(state: LayerState, index: number): void {
    this.#checkbox.checked = state.on.has(index);
    this.#solo.setAttribute("aria-pressed", String(state.solo === index));
    this.#opacity.value = String(state.opacity.get(index) ?? 100);
    this.element.classList.toggle("muted", state.solo !== null && state.solo !== index);
  }
}
