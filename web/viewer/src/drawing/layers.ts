// Visibility and opacity of layers, as pure functions. image-stack.ts displays the result.

import type { Layer } from "../api";

export interface LayerState {
  readonly on: ReadonlySet<number>;
  /** Percent, by index; only layers that are not opaque. */
  readonly opacity: ReadonlyMap<number, number>;
  /** The only visible layer, if there is one. */
  readonly solo: number | null;
}

export interface VisibleLayer {
  layer: Layer;
  opacity: number;
}

/** The visibility that is stored in the drawing. */
export function defaultLayers(layers: readonly Layer[]): LayerState {
  return { on: new Set(layers.filter((layer) => layer.visible && layer.file).map((layer) => layer.index)), opacity: new Map(), solo: null };
}

export function toggled(state: LayerState, index: number): LayerState {
  const on = new Set(state.on);
  if (!on.delete(index)) on.add(index);
  return { ...state, on };
}

export function soloed(state: LayerState, index: number): LayerState {
  return { ...state, solo: state.solo === index ? null : index };
}

export function withOpacity(state: LayerState, index: number, percent: number): LayerState {
  const opacity = new Map(state.opacity);
  if (percent >= 100) opacity.delete(index);
  else opacity.set(index, Math.max(0, Math.round(percent)));
  return { ...state, opacity };
}

export function allOn(state: LayerState, layers: readonly Layer[]): LayerState {
  return { ...state, on: new Set(layers.filter((layer) => layer.file).map((layer) => layer.index)), solo: null };
}

export function allOff(state: LayerState): LayerState {
  return { ...state, on: new Set(), solo: null };
}

/** Layers without an image because they are off in the drawing or excluded by the render options. */
export function switchedOff(layers: readonly Layer[]): Layer[] {
  return layers.filter((layer) => !layer.visible && !layer.file);
}

const MAX_OPTION_LENGTH = 4096; // characters

/** Value of the option `layers` that adds layers to the visible ones; null if their names cannot be listed. */
export function layersOption(layers: readonly Layer[], additional: ReadonlySet<number>): string | null {
  const names = layers.filter((layer) => layer.visible || additional.has(layer.index)).map((layer) => layer.name);
  const list = names.join(",");
  return list.length <= MAX_OPTION_LENGTH && names.every((name) => name && name === name.trim() && !name.includes(",")) ? list : null;
}

/** Layers to display, from bottom to top. */
export function visibleLayers(state: LayerState, layers: readonly Layer[]): VisibleLayer[] {
  return layers
    .filter((layer) => layer.file && (state.solo === null ? state.on.has(layer.index) : layer.index === state.solo))
    .map((layer) => ({ layer, opacity: (state.opacity.get(layer.index) ?? 100) / 100 }))
    .filter(({ opacity }) => opacity > 0);
}

/** Whether this is the default, which the preview shows. */
export function isDefault(state: LayerState, layers: readonly Layer[]): boolean {
  const visible = defaultLayers(layers).on;
  return state.solo === null && state.opacity.size === 0 && state.on.size === visible.size && [...visible].every((index) => state.on.has(index));
}

/** Left, top, width and height. */
type Box = [number, number, number, number];

export function overlaps([left, top, width, height]: Box, [x, y, across, down]: Box): boolean {
  return left < x + across && x < left + width && top < y + down && y < top + height;
}
