// Lengths in the drawing's own units.

import type { Manifest } from "../api";

export interface Point {
  x: number;
  y: number;
}

export interface Scale {
  /** Units that the drawing's width (1 in the viewer's coordinates) stands for. */
  units: number;
  name: string;
}

/** A drawing has units; of a picture, pixels are measured. */
export function scaleOf(manifest: Manifest): Scale {
  const { extents, units, width } = manifest.source;
  if (extents) return { units: extents[2] - extents[0], name: units ?? "units" };
  return { units: width === null ? manifest.preview.width : width * shareOf(manifest.options.region), name: "px" };
}

/** Part of the width that a region shows: left, top, right and bottom in ten-thousandths, all of it if it is empty. */
function shareOf(region: unknown): number {
  const [left, , right] = String(region || "0,0,10000,10000").split(",").map(Number);
  return (right! - left!) / 10_000;
}

export function distance(from: Point, to: Point, scale: Scale): number {
  return Math.hypot(to.x - from.x, to.y - from.y) * scale.units;
}

/** A length with as many digits as a person can use: four that count. */
export function lengthWords(length: number, name: string): string {
  const digits = length === 0 ? 0 : Math.max(0, 3 - Math.floor(Math.log10(length)));
  return `${Number(length.toFixed(Math.min(digits, 6))).toLocaleString("en", { maximumFractionDigits: 6 })} ${name}`;
}
