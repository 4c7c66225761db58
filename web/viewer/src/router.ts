// Routes in the fragment of the URL, so that the server has a single page and views can be bookmarked.

export interface Route {
  page: "jobs" | "drawing" | "floor" | "operator";
  /** Id of a render or name of a plant. */
  name: string;
  query: URLSearchParams;
}

export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [page, name = ""] = path.split("/");
  const known = page === "floor" || page === "operator" || (page === "drawing" && name) ? page : "jobs";
  return { page: known, name: decodeSegment(name), query: new URLSearchParams(query) };
}

function decodeSegment(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

export function formatRoute(page: Route["page"], name = "", query = ""): string {
  const path = page === "jobs" ? "#/" : `#/${page}${name ? `/${encodeURIComponent(name)}` : ""}`;
  return query ? `${path}?${query}` : path;
}

/** Whether two routes differ only in the query, which the page handles itself. */
export function isSamePage(a: Route, b: Route): boolean {
  return a.page === b.page && a.name === b.name;
}
