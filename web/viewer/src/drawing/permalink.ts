// Formats and parses the view and the layers in the query of a URL. Default values are omitted.

import type { Layer } from "../api";
import { defaultLayers, type LayerState } from "./layers";

/** The visible part of the drawing, in units of the drawing's width. */
export interface View {
  left: number;
  top: number;
  width: number;
}

const DIGITS = 5; // decimal places: finer than a pixel of the largest tiles on most screens

export function formatView(view: View | null, state: LayerState, layers: readonly Layer[]): string {
  const parts: string[] = [];
  if (view) parts.push(`v=${[view.left, view.top, view.width].map((value) => Number(value.toFixed(DIGITS))).join(",")}`);
  const visible = defaultLayers(layers).on;
  const off = [...visible].filter((index) => !state.on.has(index));
  const on = [...state.on].filter((index) => !visible.has(index));
  if (off.length) parts.push(`off=${off.join(",")}`);
  if (on.length) parts.push(`on=${on.join(",")}`);
  if (state.opacity.size) parts.push(`o=${[...state.opacity].map(([index, percent]) => `${index}:${percent}`).join(",")}`);
  if (state.solo !== null) parts.push(`solo=${state.solo}`);
  return parts.join("&");
}

/** Parses the view; null if it is missing or invalid. */
export function parseView(query: URLSearchParams): View | null {
  const [left, top, width] = (query.get("v") ?? "").split(",").map(Number);
  return [left, top, width].every(Number.isFinite) && width! > 0 ? { left: left!, top: top!, width: width! } : null;
}

export function parseLayers(query: URLSearchParams, layers: readonly Layer[]): LayerState {
  const known = new Set(layers.filter((layer) => layer.file).map((layer) => layer.index));
  const numbers = (name: string): number[] => (query.get(name) ?? "").split(",").filter(Boolean).map(Number).filter((index) => known.has(index));
  const on = new Set(defaultLayers(layers).on);
  for (const index of numbers("off")) on.delete(index);
  for (const index of numbers("on")) on.add(index);
  const opacity = new Map<number, number>();
  for (const pair of (query.get("o") ?? "").split(",")) {
    const [index, percent] = pair.split(":").map(Number);
    if (known.has(index!) && percent! >= 0 && percent! < 100) opacity.set(index!, Math.round(percent!));
  }
  return { on, opacity, solo: numbers("solo")[0] ?? null };
}
