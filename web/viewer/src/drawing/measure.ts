// A tape measure over the drawing: two points, by click, by touch or, at the middle of the view, by Enter.

import OpenSeadragon from "openseadragon";
import { h, say } from "../dom";
import type { Scope } from "../teardown";
import { distance, lengthWords, type Point, type Scale } from "./units";

const SVG = "http://www.w3.org/2000/svg";

export class Measure {
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
    if (active) say("Measure: choose two points, or press Enter at each.");
    this.#draw();
  }

  #add(point: Point): void {
    this.#points = this.#points.length === 2 ? [point] : [...this.#points, point];
    this.#draw();
    if (this.#points.length === 2) say(this.#words());
  }

  #words(): string {
    const [from, to] = this.#points;
    return lengthWords(distance(from!, to!, this.scale), this.scale.name);
  }

  #draw(): void {
    const pixels = this.#points.map((point) => this.viewer.viewport.pixelFromPoint(new OpenSeadragon.Point(point.x, point.y), true));
    const [from, to] = pixels;
    this.#ends.forEach((end, number) => place(end, { cx: pixels[number]?.x, cy: pixels[number]?.y }));
    place(this.#line, { x1: from?.x, y1: from?.y, x2: to?.x, y2: to?.y });
    this.#label.hidden = !to;
    if (!from || !to) return;
    this.#label.textContent = this.#words();
    this.#label.style.transform = `translate(${(from.x + to.x) / 2}px, ${(from.y + to.y) / 2}px)`;
  }
}

/** Set an SVG element's coordinates; hide it while one is missing. */
function place(element: SVGElement, coordinates: Record<string, number | undefined>): void {
  const known = Object.values(coordinates).every((value) => value !== undefined);
  element.setAttribute("visibility", known ? "visible" : "hidden");
  if (known) for (const [name, value] of Object.entries(coordinates)) element.setAttribute(name, String(value));
}
