// Tools of a drawing: zoom, measure, pages, link, download, print.

import type OpenSeadragon from "openseadragon";
import { outputUrl, type Render } from "../api";
import { button, h, tell } from "../dom";
import type { Scope } from "../teardown";
import type { Measure } from "./measure";
import { renderOtherwise } from "./otherwise";
import type { Outputs } from "./stack";

const STEP = 1.6; // how much closer one press of a button comes

interface Desk {
  viewer: OpenSeadragon.Viewer;
  measure: Measure;
  outputs: Outputs;
  render: Render;
  link: () => string;
  scope: Scope;
}

export function toolbar(desk: Desk): HTMLElement {
  const { viewer, scope } = desk;
  const zoom = (factor: number): void => void viewer.viewport.zoomBy(factor).applyConstraints();
  const measuring = button("Measure", () => measure(), { "aria-pressed": "false", title: "Measure (m)" });
  const measure = (): void => {
    desk.measure.active = !desk.measure.active;
    measuring.setAttribute("aria-pressed", String(desk.measure.active));
  };
  scope.listen<KeyboardEvent>(window, "keydown", (event) => {
    const typing = event.target instanceof HTMLSelectElement || (event.target instanceof HTMLInputElement && event.target.type !== "checkbox");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "m" || (event.key === "Escape" && desk.measure.active)) measure();
  });
  return h(
    "div",
    { class: "tools", role: "toolbar", "aria-label": "Drawing" },
    h("strong", { class: "desk-title" }, desk.render.filename),
    button("+", () => zoom(STEP), { "aria-label": "Closer", title: "Closer (+)" }),
    button("−", () => zoom(1 / STEP), { "aria-label": "Further away", title: "Further away (-)" }),
    button("All", () => viewer.viewport.goHome(), { title: "Show all (0)" }),
    measuring,
    pages(desk),
    desk.render.source && button("Link", () => void copy(desk.link()), { title: "Copy a link to this view" }),
    downloads(desk),
    button("Print", () => print()),
  );
}

/** Other pages of a PDF or TIFF, other layouts of a DXF. */
function pages({ outputs, render, scope }: Desk): HTMLElement | null {
  const { source, options } = outputs.manifest;
  const layouts = source.layouts ?? [];
  if (!render.source || (source.pages < 2 && layouts.length < 2)) return null;
  const byLayout = layouts.length > 1;
  const names = byLayout ? layouts : Array.from({ length: source.pages }, (_, number) => String(number + 1));
  const now = byLayout ? String(options.layout || layouts[0]) : String(options.page);
  const choice = h("select", { "aria-label": byLayout ? "Layout" : "Page" });
  for (const name of names) choice.append(h("option", { value: name, selected: name === now }, byLayout ? name : `Page ${name}`));
  choice.addEventListener("change", async () => {
    const wanted: Render["options"] = byLayout ? { layout: choice.value } : { page: Number(choice.value) };
    if (!(await renderOtherwise(render, wanted, scope.signal))) choice.value = now;
  });
  return choice;
}

async function copy(link: string): Promise<void> {
  const whole = new URL(link, location.href).href;
  try {
    await navigator.clipboard.writeText(whole);
    tell("The link to this view is copied.");
  } catch {
    prompt("A link to this view:", whole); // no clipboard without https
  }
}

function downloads({ viewer, outputs, render, scope }: Desk): HTMLElement {
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
  scope.listen(window, "pointerdown", close, { capture: true }); // the viewer keeps its own to itself
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
