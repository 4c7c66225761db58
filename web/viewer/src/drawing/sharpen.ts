// Tiles on request: a preview is there in seconds, tiles take longer, so those of a layer are made when it is looked at.
//
// Each set of tiles is a job like any other. Its key names drawing and layer, so all who look at them share one job, and a
// page that is opened anew finds it.

import { ask, FINAL, Problem, read, renderAgain, type Manifest, type Progress, type Render, type Summary } from "../api";
import { follow, pause } from "../events";
import { failureSentence, progressWords } from "../jobs/words";
import { type Outputs, type Subject } from "./stack";
import { scaleOf } from "./units";

const AT_ONCE = 2; // sets of tiles that one page has under way: others wait for workers, too
const LOOK_AGAIN = 1_000; // milliseconds; somebody else is asking for the same this very moment

const AT_ANY_SCALE = new Set(["dxf", "dwg", "svg", "pdf"]);

/** Whether tiles show more than the preview: those of a picture are the source's own pixels. */
export function canBeSharper(manifest: Manifest): boolean {
  return AT_ANY_SCALE.has(manifest.source.format) || scaleOf(manifest).units > manifest.preview.width;
}

export class Sharpener {
  readonly #asked = new Set<Subject>();
  #wanted: Subject[] = [];
  #running = 0;

  constructor(
    private readonly render: Render,
    private readonly signal: AbortSignal,
    private readonly tell: (words: string) => void,
    private readonly done: (subject: Subject, outputs: Outputs) => void,
  ) {}

  /** Have tiles made of these, the first ones first, instead of what was wanted and has not begun. Each is asked for once. */
  want(subjects: readonly Subject[]): void {
    this.#wanted = subjects.filter((subject) => !this.#asked.has(subject));
    this.#next();
  }

  #next(): void {
    while (this.#running < AT_ONCE && this.#wanted.length) {
      const subject = this.#wanted.shift()!;
      this.#asked.add(subject);
      this.#running++;
      void this.#sharpen(subject).then((words) => {
        this.#running--;
        if (this.signal.aborted) return;
        this.#next();
        if (words || !this.#running) this.tell(words);
      });
    }
  }

  /** What there is to say at the end: why there are no tiles, or nothing. */
  async #sharpen(subject: Subject): Promise<string> {
    try {
      this.tell("Sharper tiles are asked for …");
      const render = await this.#end((await this.#ask(subject)).links.self!);
      const sentence = failureSentence(render);
      if (sentence) return `There are no sharper tiles: ${sentence}`;
      this.done(subject, { render, manifest: await read<Manifest>(render.links.manifest!, this.signal) });
      return "";
    } catch (error) {
      return `There are no sharper tiles: ${(error as Error).message}`;
    }
  }

  async #ask(subject: Subject): Promise<Summary> {
    for (;;) {
      try {
        const options = { tiles: true, layer_tiles: false, tile_layer: subject };
        const job = await renderAgain(this.render, options, this.signal, `tiles:${this.render.id}:${subject}`);
        if (job.state === "cancelled") await ask(`${job.links.self}/replay`, { method: "POST", signal: this.signal });
        return job;
      } catch (error) {
        if (!(error instanceof Problem) || error.code !== "request-in-progress") throw error;
        await pause(LOOK_AGAIN, this.signal);
      }
    }
  }

  async #end(path: string): Promise<Render> {
    let render = await read<Render>(path, this.signal);
    if (FINAL.includes(render.state)) return render;
    await follow(`${path}/events`, this.signal, ({ name, data }) => {
      if (name === "progress") this.tell(`Sharper tiles: ${progressWords(JSON.parse(data) as Progress)}`);
      if (name !== "render") return false;
      render = JSON.parse(data) as Render;
      return FINAL.includes(render.state);
    });
    return render;
  }
}
