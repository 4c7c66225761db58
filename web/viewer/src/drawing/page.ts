// A drawing: wait for it if it is not there yet, then look at it.

import { FINAL, read, type Manifest, type Progress, type Render } from "../api";
import { h, tell } from "../dom";
import { follow } from "../events";
import { storyPage } from "../jobs/story";
import { progressWords, stateWord } from "../jobs/words";
import type { Page } from "../main";
import type { Scope } from "../teardown";
import { openDesk } from "./desk";
import { readManifest, signedRender } from "./signed";

export const drawingPage: Page = async (main, route, scope) => {
  const signed = signedRender(route);
  const render = signed ?? (await finished(main, await read<Render>(`/renders/${encodeURIComponent(route.name)}`, scope.signal), scope));
  if (scope.ended) return;
  document.title = `${render.filename} – Bulkhead`;
  if (render.state !== "succeeded") {
    const again = (): void => void Promise.resolve(drawingPage(main, route, scope)).catch((error: Error) => scope.ended || tell(error.message));
    return main.replaceChildren(storyPage(render, scope.signal, again));
  }
  const manifest = await (signed ? readManifest(signed, scope.signal) : read<Manifest>(render.links.manifest!, scope.signal));
  if (!scope.ended) openDesk(main, { render, manifest }, render, route.query, scope);
};

/** The render once it is settled; its progress is shown meanwhile. */
async function finished(main: HTMLElement, render: Render, scope: Scope): Promise<Render> {
  if (FINAL.includes(render.state)) return render;
  const bar = h("progress", { max: 100, value: render.progress.percent, "aria-label": "Progress" });
  const words = h("p", {}, stateWord(render.state));
  main.replaceChildren(h("section", { class: "waiting" }, h("h1", {}, render.filename), bar, words));
  let last = render;
  await follow(`/renders/${render.id}/events`, scope.signal, ({ name, data }) => {
    const progress = name === "render" ? (last = JSON.parse(data) as Render).progress : (JSON.parse(data) as Progress);
    bar.value = progress.percent;
    words.textContent = progress.stage ? progressWords(progress) : stateWord(last.state);
    return FINAL.includes(last.state);
  });
  main.replaceChildren();
  return last;
}
