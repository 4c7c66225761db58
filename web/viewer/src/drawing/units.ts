// Lengths in the units of the drawing.

import type { Manifest } from "../api";

export interface Point {
  x: number;
  y: number;
}

export interface Scale {
  /** Width of the drawing, which is 1 in viewer coordinates. */
  units: number;
  name: string;
}

/** Scale of a drawing; raster images are measured in pixels. */
export function scaleOf(manifest: Manifest): Scale {
  const { extents, units, width } = manifest.source;
  if (extents) return { units: extents[2] - extents[0], name: units ?? "units" };
  return { units: width === null ? manifest.preview.width : width * regionWidth(manifest.options.region), name: "px" };
}

/** Fraction of the width in a region `left,top,right,bottom` in ten-thousandths; an empty region is the whole width. */
function regionWidth(region: unknown): number {
  const [left, , right] = String(region || "0,0,10000,10000").split(",").map(Number);
  return (right! - left!) / 10_000;
}

export function distance(from: Point, to: Point, scale: Scale): number {
  return Math.hypot(to.x - from.x, to.y - from.y) * scale.units;
}

/** Formats a length with four significant digits. */
export function formatLength(length: number, name: string): string {
  const digits = length === 0 ? 0 : Math.max(0, 3 - Math.floor(Math.log10(length)));
  return `${Number(length.toFixed(Math.min(digits, 6))).toLocaleString("en", { maximumFractionDigits: 6 })} ${name}`;
}
