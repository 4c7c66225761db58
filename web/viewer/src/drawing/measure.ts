// Measures the distance of two points, set by click, by touch, or by Enter at the center of the view.

import OpenSeadragon from "openseadragon";
import { h, announce } from "../dom";
import type { Scope } from "../teardown";
import { distance, formatLength, type Point, type Scale } from "./units";

const SVG = "http://www.w3.org/2000/svg";

export class MeasureTool {
  readonly #svg = document.createElementNS(SVG, "svg");
  readonly #line = document.createElementNS(SVG, "line");
  readonly #ends = [0, 1].map(() => document.createElementNS(SVG, "circle"));
  readonly #label = h("output", { class: "measure-label", hidden: true });
  #points: Point[] = [];
  #active = false;

  constructor(
    readonly viewer: OpenSeadragon.Viewer,
    readonly scale: Scale,
    scope: Scope,
  ) {
    this.#svg.setAttribute("class", "measure");
    this.#svg.setAttribute("aria-hidden", "true");
    this.#svg.append(this.#line, ...this.#ends);
    for (const end of this.#ends) end.setAttribute("r", "5");
    viewer.container.append(this.#svg, this.#label);
    const redraw = (): void => this.#draw();
    for (const kind of ["update-viewport", "resize"] as const) {
      viewer.addHandler(kind, redraw);
      scope.defer(() => viewer.removeHandler(kind, redraw));
    }
    const click = (event: OpenSeadragon.CanvasClickEvent): void => {
      if (!this.#active || !event.quick) return;
      event.preventDefaultAction = true;
      this.#add(viewer.viewport.pointFromPixel(event.position));
    };
    viewer.addHandler("canvas-click", click);
    scope.defer(() => viewer.removeHandler("canvas-click", click));
    scope.listen<KeyboardEvent>(viewer.container, "keydown", (event) => {
      if (this.#active && event.key === "Enter") this.#add(viewer.viewport.getCenter(true));
    });
    this.#draw();
  }

  get active(): boolean {
    return this.#active;
  }

  set active(active: boolean) {
    this.#active = active;
    this.#points = [];
    this.viewer.container.classList.toggle("measuring", active);
    if (active) announce("Measure: click two points, or press Enter at the center of the view.");
    this.#draw();
  }

  #add(point: Point): void {
    this.#points = this.#points.length === 2 ? [point] : [...this.#points, point];
    this.#draw();
    if (this.#points.length === 2) announce(this.#formatDistance());
  }

  #formatDistance(): string {
    const [from, to] = this.#points;
    return formatLength(distance(from!, to!, this.scale), this.scale.name);
  }

  #draw(): void {
    const pixels = this.#points.map((point) => this.viewer.viewport.pixelFromPoint(new OpenSeadragon.Point(point.x, point.y), true));
    const [from, to] = pixels;
    this.#ends.forEach((end, number) => setCoordinates(end, { cx: pixels[number]?.x, cy: pixels[number]?.y }));
    setCoordinates(this.#line, { x1: from?.x, y1: from?.y, x2: to?.x, y2: to?.y });
    this.#label.hidden = !to;
    if (!from || !to) return;
    this.#label.textContent = this.#formatDistance();
    this.#label.style.transform = `translate(${(from.x + to.x) / 2}px, ${(from.y + to.y) / 2}px)`;
  }
}

/** Sets the coordinates of an SVG element, or hides it if a coordinate is missing. */
function setCoordinates(element: SVGElement, coordinates: Record<string, number | undefined>): void {
  const known = Object.values(coordinates).every((value) => value !== undefined);
  element.setAttribute("visibility", known ? "visible" : "hidden");
  if (known) for (const [name, value] of Object.entries(coordinates)) element.setAttribute(name, String(value));
}
