// Client of the HTTP API (docs/reference/http.md).

import { token } from "./session";

export type State = "accepted" | "queued" | "running" | "succeeded" | "failed" | "dead" | "cancelled";
export const FINAL: readonly State[] = ["succeeded", "failed", "dead", "cancelled"];

export interface Progress {
  percent: number;
  stage: string;
  layer: string;
}

export interface Summary {
  id: string;
  state: State;
  links: Record<string, string>;
  filename: string;
  created_at: string;
  finished_at: string | null;
  size: number | null;
  error: { code: string; detail: string } | null;
}

export interface Attempt {
  number: number;
  outcome: string;
  started_at: string;
  ended_at: string | null;
  explanation: string | null;
}

export interface Render extends Summary {
  /** Store key of the drawing; empty for a signed link, which does not allow new renders. */
  source: string;
  options: Record<string, string | number | boolean>;
  progress: Progress;
  attempts: Attempt[];
}

export interface RenderPage {
  renders: Summary[];
  next: string | null;
}

export interface TileSet {
  width: number;
  height: number;
  tile_size: number;
}

export interface Layer {
  index: number;
  name: string;
  colour: string | null;
  visible: boolean;
  empty: boolean;
  extent: [number, number, number, number] | null;
  file: string | null;
  tiles: TileSet | null;
  /** Why this layer could not be rendered. */
  error: string | null;
}

export interface Manifest {
  source: {
    format: string;
    pages: number;
    layouts?: string[];
    extents: [number, number, number, number] | null;
    units: string | null;
    width: number | null;
    height: number | null;
  };
  options: Record<string, string | number | boolean>;
  preview: { file: string; width: number; height: number };
  layers: Layer[];
  tiles: TileSet | null;
  warnings: { code: string; message: string; layer: string | null }[];
}

/** An error response; the message is the server's, and says what to do. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
  ) {
    super(detail);
  }
}

export function withAuthorization(headers: Record<string, string> = {}): Record<string, string> {
  const bearer = token();
  return bearer ? { ...headers, authorization: `Bearer ${bearer}` } : headers;
}

/** Sends a request. Throws Problem for error responses and if the server does not respond. */
export async function request(path: string, options: RequestInit & { headers?: Record<string, string> } = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { ...options, headers: withAuthorization(options.headers) });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "unreachable", "The server does not respond. Check the connection and try again.");
  }
  if (!response.ok) throw await toProblem(response);
  return response;
}

async function toProblem(response: Response): Promise<Problem> {
  const body = (await response.json().catch(() => ({}))) as { code?: string; detail?: string };
  return new Problem(response.status, body.code ?? "http-error", body.detail ?? `The server responded with status ${response.status}. Try again.`);
}

export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await (await request(path, { signal })).json()) as T;
}

/** Requests another render of a stored drawing. Requests with the same idempotency `key` share one job. */
export async function requestRender(render: Render, options: Render["options"], signal: AbortSignal, key?: string): Promise<Summary> {
  const merged = { ...render.options, ...options };
  const response = await request("/renders", {
    method: "POST",
    headers: { "content-type": "application/json", ...(key && { "idempotency-key": key }) },
    body: JSON.stringify({ source: render.source, filename: render.filename, options: merged }),
    signal,
  });
  return (await response.json()) as Summary;
}

/** URL of an output, with the signature of the render's links if there is one. */
export function outputUrl(render: Pick<Summary, "links">, name: string): string {
  const [self, signature] = [render.links.self, (render.links.preview ?? "").split("?")[1]];
  return `${self}/${name}${signature ? `?${signature}` : ""}`;
}
