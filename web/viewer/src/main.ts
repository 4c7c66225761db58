// Shows one page at a time. Ends the scope of the previous page before the next page starts in a new scope.

import { Problem } from "./api";
import { button, h, announce, showStaleNotice } from "./dom";
import { parseRoute, isSamePage, type Route } from "./router";
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
let currentRoute: Route | null = null;
let scope = new Scope();

async function showPage(route: Route): Promise<void> {
  scope.end();
  scope = new Scope();
  const ownScope = scope;
  currentRoute = route;
  showStaleNotice("");
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
    if (!ownScope.ended) await page(main, route, ownScope);
  } catch (error) {
    if (!ownScope.ended) await showError(error, route);
  }
  if (!ownScope.ended) main.setAttribute("aria-busy", "false");
}

async function showError(error: unknown, route: Route): Promise<void> {
  if (error instanceof Problem && error.status === 401 && (await signIn(error.message))) return showPage(route);
  const detail = error instanceof Error ? error.message : String(error);
  if (!(error instanceof Problem)) console.error(error);
  main.replaceChildren(
    h("section", { class: "failure" }, h("h1", {}, "Something went wrong"), h("p", {}, detail), button("Try again", () => void showPage(route))),
  );
  announce(detail);
}

addEventListener("hashchange", () => {
  const route = parseRoute(location.hash);
  if (!currentRoute || !isSamePage(currentRoute, route)) void showPage(route);
});
document.querySelector(".skip")!.addEventListener("click", (event) => {
  event.preventDefault(); // the fragment of the URL selects the page
  main.focus();
});
document.body.classList.toggle("framed", window.parent !== window);
installTheme(document.getElementById("theme") as HTMLButtonElement);
watchCanvases(document.body);
void showPage(parseRoute(location.hash));
