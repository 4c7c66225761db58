// Signed links: grant access to the outputs of one render without a token, and to nothing else.

import { Problem, getJson, type Manifest, type Render } from "../api";
import type { Route } from "../router";

const SIGNATURE_FIELDS = ["expires", "signature"];
const PERSISTENT_FIELDS = ["name", ...SIGNATURE_FIELDS]; // stay in the URL when the view changes

/** The render of a signed link; null if the URL has no signature. Links are only signed for successful renders. */
export function parseSignedLink({ name: id, query }: Route): Render | null {
  if (!SIGNATURE_FIELDS.every((each) => query.has(each))) return null;
  const self = `/renders/${encodeURIComponent(id)}`;
  const signature = pick(query, SIGNATURE_FIELDS);
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

/** Reads the manifest. An expired link is reported as an error instead of a request for a token. */
export async function readManifest(render: Render, signal: AbortSignal): Promise<Manifest> {
  try {
    return await getJson<Manifest>(render.links.manifest!, signal);
  } catch (error) {
    if (error instanceof Problem && error.status === 401) throw new Problem(410, error.code, "This link has expired: reload the page that contains it.");
    throw error;
  }
}

export function persistentQuery(query: URLSearchParams): string {
  return pick(query, PERSISTENT_FIELDS);
}

function pick(query: URLSearchParams, names: readonly string[]): string {
  const present = names.filter((name) => query.has(name));
  return String(new URLSearchParams(present.map((name) => [name, query.get(name)!])));
}
