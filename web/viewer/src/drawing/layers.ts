// Which layers are shown, and how strongly. Values only: what draws them is stack.ts.

import type { Layer } from "../api";

export interface LayerState {
  readonly on: ReadonlySet<number>;
  /** Percent, for those that are not opaque. */
  readonly opacity: ReadonlyMap<number, number>;
  /** The only one shown, whatever else is on. */
  readonly solo: number | null;
}

export interface Shown {
  layer: Layer;
  opacity: number;
}

/** As the drawing's author left it. */
export function asDrawn(layers: readonly Layer[]): LayerState {
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

export function dimmed(state: LayerState, index: number, percent: number): LayerState {
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

/** Layers of which no picture was made because they are switched off: in the drawing, or by what was asked for. */
export function switchedOff(layers: readonly Layer[]): Layer[] {
  return layers.filter((layer) => !layer.visible && !layer.file);
}

const LONGEST = 4096; // characters of the option `layers`

/** The option `layers` of a render that draws these, too; null if a list of names cannot say it. */
export function askedFor(layers: readonly Layer[], more: ReadonlySet<number>): string | null {
  const names = layers.filter((layer) => layer.visible || more.has(layer.index)).map((layer) => layer.name);
  const list = names.join(",");
  return list.length <= LONGEST && names.every((name) => name && name === name.trim() && !name.includes(",")) ? list : null;
}

/** Layers to draw, lowest first. */
export function shown(state: LayerState, layers: readonly Layer[]): Shown[] {
  return layers
    .filter((layer) => layer.file && (state.solo === null ? state.on.has(layer.index) : layer.index === state.solo))
    .map((layer) => ({ layer, opacity: (state.opacity.get(layer.index) ?? 100) / 100 }))
    .filter(({ opacity }) => opacity > 0);
}

/** Whether it is what the preview shows, which draws it in one go and in the drawing's own order. */
export function isAsDrawn(state: LayerState, layers: readonly Layer[]): boolean {
  const drawn = asDrawn(layers).on;
  return state.solo === null && state.opacity.size === 0 && state.on.size === drawn.size && [...drawn].every((index) => state.on.has(index));
}

/** Left, top, width and height. */
export type Box = [number, number, number, number];

export function overlaps([left, top, width, height]: Box, [x, y, across, down]: Box): boolean {
  return left < x + across && x < left + width && top < y + down && y < top + height;
}
