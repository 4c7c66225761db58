// A drawing by a signed link: who has it sees the outputs of this render, without a token, and can ask for nothing else.

import { Problem, read, type Manifest, type Render } from "../api";
import type { Route } from "../router";

const SIGNATURE = ["until", "signature"];
const KEPT = ["name", ...SIGNATURE]; // what stays in the address, whatever is shown

/** The render as far as the address tells; null where it has no signature. It has succeeded, or nobody had signed it. */
export function signedRender({ name: id, query }: Route): Render | null {
  if (!SIGNATURE.every((each) => query.has(each))) return null;
  const self = `/renders/${encodeURIComponent(id)}`;
  const signature = picked(query, SIGNATURE);
  return {
    id,
    state: "succeeded",
    filename: query.get("name") ?? "",
    links: { self, manifest: `${self}/manifest.json?${signature}`, preview: `${self}/preview?${signature}` },
    created_at: "",
    finished_at: null,
    size: null,
    error: null,
    source: "",
    options: {},
    progress: { percent: 100, stage: "", layer: "" },
    attempts: [],
  };
}

/** Nobody is asked for a token who came by a link. */
export async function readManifest(render: Render, signal: AbortSignal): Promise<Manifest> {
  try {
    return await read<Manifest>(render.links.manifest!, signal);
  } catch (error) {
    if (error instanceof Problem && error.status === 401) throw new Problem(410, error.code, "This link is too old: reload the page that it is on.");
    throw error;
  }
}

export function keptQuery(query: URLSearchParams): string {
  return picked(query, KEPT);
}

function picked(query: URLSearchParams, names: readonly string[]): string {
  const found = names.filter((name) => query.has(name));
  return String(new URLSearchParams(found.map((name) => [name, query.get(name)!])));
}
