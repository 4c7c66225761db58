// The page of a drawing: shows its progress until it is rendered, then the drawing.

import { FINAL, getJson, type Manifest, type Progress, type Render } from "../api";
import { h, notify } from "../dom";
import { followEvents } from "../events";
import { failurePage } from "../jobs/explanation";
import { formatProgress, stateLabel } from "../jobs/text";
import type { Page } from "../main";
import type { Scope } from "../teardown";
import { openDrawingView } from "./drawing-view";
import { readManifest, parseSignedLink } from "./signed-link";

export const drawingPage: Page = async (main, route, scope) => {
  const signed = parseSignedLink(route);
  const render = signed ?? (await waitUntilFinal(main, await getJson<Render>(`/renders/${encodeURIComponent(route.name)}`, scope.signal), scope));
  if (scope.ended) return;
  document.title = `${render.filename} – Bulkhead`;
  if (render.state !== "succeeded") {
    const reload = (): void => void Promise.resolve(drawingPage(main, route, scope)).catch((error: Error) => scope.ended || notify(error.message));
    return main.replaceChildren(failurePage(render, scope.signal, reload));
  }
  const manifest = await (signed ? readManifest(signed, scope.signal) : getJson<Manifest>(render.links.manifest!, scope.signal));
  if (!scope.ended) openDrawingView(main, { render, manifest }, render, route.query, scope);
};

/** Shows the progress of a render and resolves when its state is final. */
async function waitUntilFinal(main: HTMLElement, render: Render, scope: Scope): Promise<Render> {
  if (FINAL.includes(render.state)) return render;
  const bar = h("progress", { max: 100, value: render.progress.percent, "aria-label": "Progress" });
  const text = h("p", {}, stateLabel(render.state));
  main.replaceChildren(h("section", { class: "waiting" }, h("h1", {}, render.filename), bar, text));
  let last = render;
  await followEvents(`/renders/${render.id}/events`, scope.signal, ({ name, data }) => {
    const progress = name === "render" ? (last = JSON.parse(data) as Render).progress : (JSON.parse(data) as Progress);
    bar.value = progress.percent;
    text.textContent = progress.stage ? formatProgress(progress) : stateLabel(last.state);
    return FINAL.includes(last.state);
  });
  main.replaceChildren();
  return last;
}
