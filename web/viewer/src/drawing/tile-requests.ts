// Requests tiles on demand: they take longer to render than a preview, so a layer is tiled when the user zooms in.
//
// Each tile set is a job. Its idempotency key consists of the render and the layer, so all viewers share one job and a
// reloaded page finds it.

import { request, FINAL, Problem, getJson, requestRender, type Manifest, type Progress, type Render, type Summary } from "../api";
import { followEvents, sleep } from "../events";
import { failureMessage, formatProgress } from "../jobs/text";
import { type Outputs, type Subject } from "./image-stack";
import { scaleOf } from "./units";

const MAX_CONCURRENT = 2; // jobs per page, so that others get workers, too
const RETRY_DELAY = 1_000; // milliseconds; another viewer is creating the same job

const VECTOR_FORMATS = new Set(["dxf", "dwg", "svg", "pdf"]);

/** Whether tiles show more detail than the preview. For raster images that depends on the size of the source. */
export function tilesAddDetail(manifest: Manifest): boolean {
  return VECTOR_FORMATS.has(manifest.source.format) || scaleOf(manifest).units > manifest.preview.width;
}

export class TileRequester {
  readonly #requested = new Set<Subject>();
  #pending: Subject[] = [];
  #running = 0;

  constructor(
    private readonly render: Render,
    private readonly signal: AbortSignal,
    private readonly showStatus: (message: string) => void,
    private readonly onTiles: (subject: Subject, outputs: Outputs) => void,
  ) {}

  /** Requests tiles in this order, replacing pending requests that have not started. Each subject is requested once. */
  request(subjects: readonly Subject[]): void {
    this.#pending = subjects.filter((subject) => !this.#requested.has(subject));
    this.#startPending();
  }

  #startPending(): void {
    while (this.#running < MAX_CONCURRENT && this.#pending.length) {
      const subject = this.#pending.shift()!;
      this.#requested.add(subject);
      this.#running++;
      void this.#renderTiles(subject).then((message) => {
        this.#running--;
        if (this.signal.aborted) return;
        this.#startPending();
        if (message || !this.#running) this.showStatus(message);
      });
    }
  }

  /** Resolves to the error message, or to an empty string on success. */
  async #renderTiles(subject: Subject): Promise<string> {
    try {
      this.showStatus("Requesting detail tiles …");
      const render = await this.#waitUntilFinal((await this.#createJob(subject)).links.self!);
      const failure = failureMessage(render);
      if (failure) return `Detail tiles are not available: ${failure}`;
      this.onTiles(subject, { render, manifest: await getJson<Manifest>(render.links.manifest!, this.signal) });
      return "";
    } catch (error) {
      return `Detail tiles are not available: ${(error as Error).message}`;
    }
  }

  async #createJob(subject: Subject): Promise<Summary> {
    for (;;) {
      try {
        const options = { tiles: true, layer_tiles: false, tile_layer: subject };
        const job = await requestRender(this.render, options, this.signal, `tiles:${this.render.id}:${subject}`);
        if (job.state === "cancelled") await request(`${job.links.self}/replay`, { method: "POST", signal: this.signal });
        return job;
      } catch (error) {
        if (!(error instanceof Problem) || error.code !== "request-in-progress") throw error;
        await sleep(RETRY_DELAY, this.signal);
      }
    }
  }

  async #waitUntilFinal(path: string): Promise<Render> {
    let render = await getJson<Render>(path, this.signal);
    if (FINAL.includes(render.state)) return render;
    await followEvents(`${path}/events`, this.signal, ({ name, data }) => {
      if (name === "progress") this.showStatus(`Rendering detail tiles: ${formatProgress(JSON.parse(data) as Progress)}`);
      if (name !== "render") return false;
      render = JSON.parse(data) as Render;
      return FINAL.includes(render.state);
    });
    return render;
  }
}
