// The view of a drawing: the deep zoom viewer, the layer panel, the toolbar, and the URL of the current view.

import OpenSeadragon from "openseadragon";
import { outputUrl, type Render } from "../api";
import { formatRoute } from "../router";
import { releaseCanvas, type Scope } from "../teardown";
import { h, announce } from "../dom";
import type { LayerState } from "./layers";
import { MeasureTool } from "./measure";
import { rerender } from "./rerender";
import { LayerPanel } from "./layer-panel";
import { parseLayers, parseView, formatView, type View } from "./permalink";
import { tilesAddDetail, TileRequester } from "./tile-requests";
import { persistentQuery } from "./signed-link";
import { ImageStack, type Outputs } from "./image-stack";
import { createToolbar } from "./toolbar";
import { scaleOf } from "./units";

const SHARPEN_FROM = 1.25; // screen pixels per preview pixel beyond which tiles are requested
const NARROW_WINDOW = 720; // pixels: in narrower windows the layer panel starts closed
const MAX_PIXEL_RATIO = 4; // screen pixels per tile pixel at maximum zoom
const ADDRESS_DELAY = 300; // milliseconds from the last movement to the update of the URL
const LOAD_FAILED = "Part of this drawing failed to load. Check the connection and reload the page.";
const STYLE_MARKER = "data-openseadragon-mobile-css";
const LINE_WORK_FORMATS = new Set(["dxf", "dwg", "svg", "pdf"]); // inverted in the dark theme

export function openDrawingView(main: HTMLElement, outputs: Outputs, render: Render, query: URLSearchParams, scope: Scope): void {
  const { manifest } = outputs;
  const paper = h("div", { class: "paper", id: "paper", "aria-label": `Drawing ${render.filename}`, role: "region" });
  paper.dataset.background = String(manifest.options.background);
  paper.classList.toggle("ink", LINE_WORK_FORMATS.has(manifest.source.format));
  const status = h("p", { class: "view-status", hidden: true });
  const showStatus = (message: string): void => {
    status.textContent = message;
    status.hidden = !message;
  };
  const container = h("div", { class: "drawing-main" }, h("h1", { class: "visually-hidden" }, render.filename), paper, status);
  const panelContainer = h("details", { class: "side", open: innerWidth > NARROW_WINDOW }, h("summary", {}, "Layers"));
  const printImage = h("img", { class: "print-only", alt: "", src: outputUrl(render, manifest.preview.file), loading: "lazy" });
  main.append(h("div", { class: "drawing-view" }, container, panelContainer), printImage); // before the viewer is created, because it measures its element

  let layers = parseLayers(query, manifest.layers);
  const viewer = createViewer(paper, scope);
  const images = new ImageStack(viewer, outputs);
  const tileRequester = new TileRequester(render, scope.signal, showStatus, (subject, tileOutputs) => images.addTiles(subject, tileOutputs, layers));
  const measure = new MeasureTool(viewer, scaleOf(manifest), scope);

  const fixedQuery = persistentQuery(query);
  const link = (): string => formatRoute("drawing", render.id, [fixedQuery, formatView(currentView(viewer), layers, manifest.layers)].filter(Boolean).join("&"));
  const updateAddress = (): void => history.replaceState(null, "", link());
  let addressTimer = 0;
  const onViewChange = (): void => {
    clearTimeout(addressTimer);
    addressTimer = window.setTimeout(updateAddress, ADDRESS_DELAY);
    images.show(layers);
    requestTiles();
  };
  const requestTiles = (): void => {
    if (!render.source || !tilesAddDetail(manifest)) return;
    const scale = viewer.viewport.getZoom(true) * viewer.viewport.getContainerSize().x;
    if (scale > SHARPEN_FROM * manifest.preview.width) tileRequester.request(images.subjectsWithoutTiles(layers));
  };
  scope.defer(() => clearTimeout(addressTimer));
  const renderLayers = (names: string): void => void rerender(render, { layers: names }, scope.signal);
  const onLayersChange = (state: LayerState): void => {
    layers = state;
    images.show(layers);
    updateAddress();
    requestTiles();
  };
  const panel = new LayerPanel(manifest.layers, layers, onLayersChange, render.source ? renderLayers : null);

  paper.before(createToolbar({ viewer, measure, outputs, render, link, scope }));
  panelContainer.append(panel.element, createNotes(outputs) ?? "");
  viewer.viewport.resize(new OpenSeadragon.Point(paper.clientWidth, paper.clientHeight), false); // the toolbar reduced its size
  showView(viewer, parseView(query), manifest.preview.height / manifest.preview.width);
  images.show(layers);
  requestTiles();
  viewer.addHandler("animation-finish", onViewChange);
  for (const kind of ["add-item-failed", "tile-load-failed"] as const) viewer.addHandler(kind, () => scope.ended || showStatus(LOAD_FAILED));
  scope.listen(window, "hashchange", () => {
    const addressQuery = new URLSearchParams(location.hash.split("?")[1] ?? "");
    layers = parseLayers(addressQuery, manifest.layers);
    panel.set(layers);
    showView(viewer, parseView(addressQuery), manifest.preview.height / manifest.preview.width);
    images.show(layers);
    requestTiles();
  });

  if (panelContainer.querySelector(".notes")) announce("Notes about this drawing are listed below the layers.");
}

function createViewer(paper: HTMLElement, scope: Scope): OpenSeadragon.Viewer {
  // OpenSeadragon inserts an inline style unless an element with this attribute exists, and the Content-Security-Policy
  // blocks inline styles. A placeholder element in an unknown namespace prevents the insertion and has no effect.
  if (!document.querySelector(`style[${STYLE_MARKER}]`)) {
    const placeholder = document.createElementNS("urn:bulkhead", "style");
    placeholder.setAttribute(STYLE_MARKER, "");
    document.head.append(placeholder);
  }
  const viewer = OpenSeadragon({
    element: paper,
    preserveViewport: true, // the URL determines the view
    drawer: "canvas", // WebGL contexts are scarce and the floor needs one
    showNavigationControl: false,
    maxZoomPixelRatio: MAX_PIXEL_RATIO,
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
  viewer.canvas.setAttribute("aria-label", "Drawing: arrow keys pan, + and - zoom, 0 fits the drawing");
  viewer.canvas.setAttribute("role", "application");
  return viewer;
}

/** Zooms to a view, or to the whole drawing. */
function showView(viewer: OpenSeadragon.Viewer, view: View | null, ratio: number): void {
  if (!view) return void viewer.viewport.fitBounds(new OpenSeadragon.Rect(0, 0, 1, ratio), true);
  const size = viewer.viewport.getContainerSize();
  viewer.viewport.fitBounds(new OpenSeadragon.Rect(view.left, view.top, view.width, (view.width * size.y) / size.x), true);
}

function currentView(viewer: OpenSeadragon.Viewer): View {
  const bounds = viewer.viewport.getBounds(true);
  return { left: bounds.x, top: bounds.y, width: bounds.width };
}

function createNotes({ manifest }: Outputs): HTMLElement | null {
  const messages = manifest.warnings.map(({ layer, message }) => (layer ? `${layer}: ${message}` : message));
  for (const { name, error } of manifest.layers) if (error) messages.push(`${name}: ${error}`);
  if (!messages.length) return null;
  const list = h("ul", {}, ...messages.map((message) => h("li", {}, message)));
  return h("section", { class: "notes", "aria-label": "Notes" }, h("h2", {}, "Notes"), list);
}
