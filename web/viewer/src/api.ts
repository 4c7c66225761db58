// The HTTP API as this page uses it: docs/http.md.

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
  story: string | null;
}

export interface Render extends Summary {
  /** Key of the drawing in the store; empty where a signed link is all there is, and nothing can be asked for. */
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
  /** Why it could not be drawn, though the others were. */
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

/** An answer that is an error, in the server's own sentence, which says what to do. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
  ) {
    super(detail);
  }
}

export function authorised(headers: Record<string, string> = {}): Record<string, string> {
  const own = token();
  return own ? { ...headers, authorization: `Bearer ${own}` } : headers;
}

/** Throws Problem for every answer that is an error, and for none at all. */
export async function ask(path: string, options: RequestInit & { headers?: Record<string, string> } = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(path, { ...options, headers: authorised(options.headers) });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "unreachable", "The server does not answer. Check the connection and try again.");
  }
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

export async function problemOf(answer: Response): Promise<Problem> {
  const told = (await answer.json().catch(() => ({}))) as { code?: string; detail?: string };
  return new Problem(answer.status, told.code ?? "http-error", told.detail ?? `The server answered ${answer.status}. Try again.`);
}

export async function read<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await (await ask(path, { signal })).json()) as T;
}

/** Ask for another render of a drawing that is in the store. Whoever asks with the same `key` gets the same job. */
export async function renderAgain(of: Render, options: Render["options"], signal: AbortSignal, key?: string): Promise<Summary> {
  const chosen = { ...of.options, ...options };
  const answer = await ask("/renders", {
    method: "POST",
    headers: { "content-type": "application/json", ...(key && { "idempotency-key": key }) },
    body: JSON.stringify({ source: of.source, filename: of.filename, options: chosen }),
    signal,
  });
  return (await answer.json()) as Summary;
}

/** Address of an output; what signs the links of the render signs it, too. */
export function outputUrl(render: Pick<Summary, "links">, name: string): string {
  const [own, signature] = [render.links.self, (render.links.preview ?? "").split("?")[1]];
  return `${own}/${name}${signature ? `?${signature}` : ""}`;
}
