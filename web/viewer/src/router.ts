// Addresses: everything after `#`, so that the server knows one page only and a link can be kept.

export interface Route {
  page: "jobs" | "drawing" | "floor" | "operator";
  /** Id of a render, or name of a plant. */
  name: string;
  query: URLSearchParams;
}

export function parse(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [page, name = ""] = path.split("/");
  const known = page === "floor" || page === "operator" || (page === "drawing" && name) ? page : "jobs";
  return { page: known, name: decoded(name), query: new URLSearchParams(query) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

export function address(page: Route["page"], name = "", query = ""): string {
  const path = page === "jobs" ? "#/" : `#/${page}${name ? `/${encodeURIComponent(name)}` : ""}`;
  return query ? `${path}?${query}` : path;
}

/** Whether going from one to the other only changes what the page itself looks after. */
export function samePage(one: Route, other: Route): boolean {
  return one.page === other.page && one.name === other.name;
}
