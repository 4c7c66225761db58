// The drawing on the desk: viewer, layers and tools around it, and the address that brings somebody else here.

import OpenSeadragon from "openseadragon";
import { outputUrl, type Render } from "../api";
import { address } from "../router";
import { releaseCanvas, type Scope } from "../teardown";
import { h, say } from "../dom";
import type { LayerState } from "./layers";
import { Measure } from "./measure";
import { renderOtherwise } from "./otherwise";
import { LayerPanel } from "./panel";
import { readLayers, readView, write, type View } from "./permalink";
import { canBeSharper, Sharpener } from "./sharpen";
import { keptQuery } from "./signed";
import { Stack, type Outputs } from "./stack";
import { toolbar } from "./tools";
import { scaleOf } from "./units";

const LOOK_CLOSER = 1.25; // screen pixels a preview pixel from which on the preview looks soft
const NARROW = 720; // pixels of a window up to which the layers are closed at first
const DEEPEST = 4; // screen pixels a tile pixel at the closest
const WRITE_ADDRESS = 300; // milliseconds after the last movement
const LOST = "A part of this drawing did not come. Check the connection and reload the page.";
const OWN_STYLE = "data-openseadragon-mobile-css";
const INK = new Set(["dxf", "dwg", "svg", "pdf"]); // line work: in the dark theme its paper is dark, too

export function openDesk(main: HTMLElement, outputs: Outputs, render: Render, query: URLSearchParams, scope: Scope): void {
  const { manifest } = outputs;
  const paper = h("div", { class: "paper", id: "paper", "aria-label": `Drawing ${render.filename}`, role: "region" });
  paper.dataset.background = String(manifest.options.background);
  paper.classList.toggle("ink", INK.has(manifest.source.format));
  const status = h("p", { class: "desk-status", hidden: true });
  const tell = (words: string): void => {
    status.textContent = words;
    status.hidden = !words;
  };
  const desk = h("div", { class: "desk-main" }, h("h1", { class: "visually-hidden" }, render.filename), paper, status);
  const side = h("details", { class: "side", open: innerWidth > NARROW }, h("summary", {}, "Layers"));
  const forPrint = h("img", { class: "print-only", alt: "", src: outputUrl(render, manifest.preview.file), loading: "lazy" });
  main.append(h("div", { class: "desk" }, desk, side), forPrint); // first: the viewer measures the room it has

  let layers = readLayers(query, manifest.layers);
  const viewer = open(paper, scope);
  const stack = new Stack(viewer, outputs);
  const sharpener = new Sharpener(render, scope.signal, tell, (subject, sharper) => stack.sharpen(subject, sharper, layers));
  const measure = new Measure(viewer, scaleOf(manifest), scope);

  const kept = keptQuery(query);
  const link = (): string => address("drawing", render.id, [kept, write(viewOf(viewer), layers, manifest.layers)].filter(Boolean).join("&"));
  const remember = (): void => history.replaceState(null, "", link());
  let writing = 0;
  const moved = (): void => {
    clearTimeout(writing);
    writing = window.setTimeout(remember, WRITE_ADDRESS);
    stack.show(layers);
    sharpen();
  };
  const sharpen = (): void => {
    if (!render.source || !canBeSharper(manifest)) return;
    const closer = viewer.viewport.getZoom(true) * viewer.viewport.getContainerSize().x;
    if (closer > LOOK_CLOSER * manifest.preview.width) sharpener.want(stack.blurred(layers));
  };
  scope.defer(() => clearTimeout(writing));
  const drawOnly = (names: string): void => void renderOtherwise(render, { layers: names }, scope.signal);
  const changed = (state: LayerState): void => {
    layers = state;
    stack.show(layers);
    remember();
    sharpen();
  };
  const panel = new LayerPanel(manifest.layers, layers, changed, render.source ? drawOnly : null);

  paper.before(toolbar({ viewer, measure, outputs, render, link, scope }));
  side.append(panel.element, notes(outputs) ?? "");
  viewer.viewport.resize(new OpenSeadragon.Point(paper.clientWidth, paper.clientHeight), false); // the tools took room
  frame(viewer, readView(query), manifest.preview.height / manifest.preview.width);
  stack.show(layers);
  sharpen();
  viewer.addHandler("animation-finish", moved);
  for (const kind of ["add-item-failed", "tile-load-failed"] as const) viewer.addHandler(kind, () => scope.ended || tell(LOST));
  scope.listen(window, "hashchange", () => {
    const asked = new URLSearchParams(location.hash.split("?")[1] ?? "");
    layers = readLayers(asked, manifest.layers);
    panel.set(layers);
    frame(viewer, readView(asked), manifest.preview.height / manifest.preview.width);
    stack.show(layers);
    sharpen();
  });

  if (side.querySelector(".notes")) say("Notes about this drawing are below its layers.");
}

function open(paper: HTMLElement, scope: Scope): OpenSeadragon.Viewer {
  // OpenSeadragon writes a style into the page unless there is one by this mark, and the Content-Security-Policy would
  // refuse it. An element of no known namespace satisfies the one and is nothing to the other.
  if (!document.querySelector(`style[${OWN_STYLE}]`)) {
    const nothing = document.createElementNS("urn:bulkhead", "style");
    nothing.setAttribute(OWN_STYLE, "");
    document.head.append(nothing);
  }
  const viewer = OpenSeadragon({
    element: paper,
    preserveViewport: true, // the address says where to look
    drawer: "canvas", // a WebGL context for each drawing would be one taken from the floor
    showNavigationControl: false,
    maxZoomPixelRatio: DEEPEST,
    minZoomImageRatio: 0.5,
    visibilityRatio: 0.3,
    animationTime: 0.5,
    imageLoaderLimit: 6,
    gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
    crossOriginPolicy: false,
  });
  scope.defer(() => {
    const canvases = [...viewer.element.querySelectorAll("canvas")];
    viewer.destroy();
    canvases.forEach(releaseCanvas);
  });
  viewer.canvas.setAttribute("aria-label", "Drawing: arrow keys move, + and - zoom, 0 shows all");
  viewer.canvas.setAttribute("role", "application");
  return viewer;
}

/** Show a part of the drawing, or all of it. */
function frame(viewer: OpenSeadragon.Viewer, view: View | null, ratio: number): void {
  if (!view) return void viewer.viewport.fitBounds(new OpenSeadragon.Rect(0, 0, 1, ratio), true);
  const size = viewer.viewport.getContainerSize();
  viewer.viewport.fitBounds(new OpenSeadragon.Rect(view.left, view.top, view.width, (view.width * size.y) / size.x), true);
}

function viewOf(viewer: OpenSeadragon.Viewer): View {
  const bounds = viewer.viewport.getBounds(true);
  return { left: bounds.x, top: bounds.y, width: bounds.width };
}

function notes({ manifest }: Outputs): HTMLElement | null {
  const said = manifest.warnings.map(({ layer, message }) => (layer ? `${layer}: ${message}` : message));
  for (const { name, error } of manifest.layers) if (error) said.push(`${name}: ${error}`);
  if (!said.length) return null;
  const list = h("ul", {}, ...said.map((words) => h("li", {}, words)));
  return h("section", { class: "notes", "aria-label": "Notes" }, h("h2", {}, "Notes"), list);
}
