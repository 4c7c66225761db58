// One page at a time: the router ends the old page's scope, then starts the new one in a scope of its own.

import { Problem } from "./api";
import { button, h, say, tellStale } from "./dom";
import { parse, samePage, type Route } from "./router";
import { signIn } from "./session";
import { Scope, watchCanvases } from "./teardown";
import { installTheme } from "./theme";

export type Page = (main: HTMLElement, route: Route, scope: Scope) => Promise<void> | void;

const PAGES: Record<Route["page"], () => Promise<Page>> = {
  jobs: async () => (await import("./jobs/page")).jobsPage,
  drawing: async () => (await import("./drawing/page")).drawingPage,
  floor: async () => (await import("./floor/page")).floorPage,
  operator: async () => (await import("./operator/page")).operatorPage,
};
const TITLES: Record<Route["page"], string> = { jobs: "Jobs", drawing: "Drawing", floor: "Floor", operator: "Operator" };

const main = document.getElementById("main")!;
let shown: Route | null = null;
let scope = new Scope();

async function show(route: Route): Promise<void> {
  scope.end();
  scope = new Scope();
  const own = scope;
  shown = route;
  tellStale("");
  main.replaceChildren();
  main.dataset.page = route.page;
  main.setAttribute("aria-busy", "true");
  document.title = `${TITLES[route.page]} – Bulkhead`;
  for (const link of document.querySelectorAll<HTMLAnchorElement>("nav a")) {
    if (link.dataset.page === route.page) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  try {
    const page = await PAGES[route.page]();
    if (!own.ended) await page(main, route, own);
  } catch (error) {
    if (!own.ended) await fail(error, route);
  }
  if (!own.ended) main.setAttribute("aria-busy", "false");
}

async function fail(error: unknown, route: Route): Promise<void> {
  if (error instanceof Problem && error.status === 401 && (await signIn(error.message))) return show(route);
  const detail = error instanceof Error ? error.message : String(error);
  if (!(error instanceof Problem)) console.error(error);
  main.replaceChildren(
    h("section", { class: "failure" }, h("h1", {}, "This did not work"), h("p", {}, detail), button("Try again", () => void show(route))),
  );
  say(detail);
}

addEventListener("hashchange", () => {
  const route = parse(location.hash);
  if (!shown || !samePage(shown, route)) void show(route);
});
document.querySelector(".skip")!.addEventListener("click", (event) => {
  event.preventDefault(); // the address after # is a page's
  main.focus();
});
document.body.classList.toggle("framed", window.parent !== window);
installTheme(document.getElementById("theme") as HTMLButtonElement);
watchCanvases(document.body);
void show(parse(location.hash));
