// The toolbar of a drawing: zoom, measure, page, link, download, print.

import type OpenSeadragon from "openseadragon";
import { outputUrl, type Render } from "../api";
import { button, h, notify } from "../dom";
import type { Scope } from "../teardown";
import type { MeasureTool } from "./measure";
import { rerender } from "./rerender";
import type { Outputs } from "./image-stack";

const ZOOM_STEP = 1.6; // zoom factor of a button

interface ToolbarContext {
  viewer: OpenSeadragon.Viewer;
  measure: MeasureTool;
  outputs: Outputs;
  render: Render;
  link: () => string;
  scope: Scope;
}

export function createToolbar(context: ToolbarContext): HTMLElement {
  const { viewer, scope } = context;
  const zoom = (factor: number): void => void viewer.viewport.zoomBy(factor).applyConstraints();
  const measureButton = button("Measure", () => toggleMeasure(), { "aria-pressed": "false", title: "Measure (m)" });
  const toggleMeasure = (): void => {
    context.measure.active = !context.measure.active;
    measureButton.setAttribute("aria-pressed", String(context.measure.active));
  };
  scope.listen<KeyboardEvent>(window, "keydown", (event) => {
    const isTyping = event.target instanceof HTMLSelectElement || (event.target instanceof HTMLInputElement && event.target.type !== "checkbox");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "m" || (event.key === "Escape" && context.measure.active)) toggleMeasure();
  });
  return h(
    "div",
    { class: "tools", role: "toolbar", "aria-label": "Drawing" },
    h("strong", { class: "drawing-title" }, context.render.filename),
    button("+", () => zoom(ZOOM_STEP), { "aria-label": "Zoom in", title: "Zoom in (+)" }),
    button("−", () => zoom(1 / ZOOM_STEP), { "aria-label": "Zoom out", title: "Zoom out (-)" }),
    button("Fit", () => viewer.viewport.goHome(), { title: "Fit drawing (0)" }),
    measureButton,
    pageSelect(context),
    context.render.source && button("Copy link", () => void copyLink(context.link()), { title: "Copy a link to this view" }),
    downloadMenu(context),
    button("Print", () => print()),
  );
}

/** Selects a page of a PDF or TIFF, or a layout of a DXF. */
function pageSelect({ outputs, render, scope }: ToolbarContext): HTMLElement | null {
  const { source, options } = outputs.manifest;
  const layouts = source.layouts ?? [];
  if (!render.source || (source.pages < 2 && layouts.length < 2)) return null;
  const byLayout = layouts.length > 1;
  const names = byLayout ? layouts : Array.from({ length: source.pages }, (_, number) => String(number + 1));
  const current = byLayout ? String(options.layout || layouts[0]) : String(options.page);
  const select = h("select", { "aria-label": byLayout ? "Layout" : "Page" });
  for (const name of names) select.append(h("option", { value: name, selected: name === current }, byLayout ? name : `Page ${name}`));
  select.addEventListener("change", async () => {
    const selected: Render["options"] = byLayout ? { layout: select.value } : { page: Number(select.value) };
    if (!(await rerender(render, selected, scope.signal))) select.value = current;
  });
  return select;
}

async function copyLink(link: string): Promise<void> {
  const url = new URL(link, location.href).href;
  try {
    await navigator.clipboard.writeText(url);
    notify("Link copied.");
  } catch {
    prompt("Link to this view:", url); // the clipboard requires HTTPS
  }
}

function downloadMenu({ viewer, outputs, render, scope }: ToolbarContext): HTMLElement {
  const { manifest } = outputs;
  const stem = render.filename.replace(/\.[^.]*$/, "") || "drawing";
  const file = (text: string, name: string): HTMLElement =>
    h("a", { href: outputUrl(render, name), download: `${stem}-${name.replaceAll("/", "-")}` }, text);
  const menu = h(
    "details",
    { class: "menu" },
    h("summary", {}, "Download"),
    h(
      "div",
      { class: "menu-items" },
      button("This view (PNG)", () => saveView(viewer, `${stem}.png`)),
      file("Preview", manifest.preview.file),
      file("Manifest", "manifest.json"),
    ),
  );
  const close = (event: Event): void => void (menu.contains(event.target as Node) || (menu.open = false));
  scope.listen(window, "pointerdown", close, { capture: true }); // capture, because the viewer stops propagation
  scope.listen(window, "focusin", close);
  return menu;
}

function saveView(viewer: OpenSeadragon.Viewer, name: string): void {
  (viewer.drawer.canvas as HTMLCanvasElement).toBlob((blob) => {
    if (!blob) return;
    const link = h("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1_000);
  });
}
