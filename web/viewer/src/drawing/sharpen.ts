// Tiles on request: a preview is there in seconds, tiles take longer, so they are made for those who zoom in.

import { FINAL, read, renderAgain, type Manifest, type Progress, type Render } from "../api";
import { follow } from "../events";
import { failureSentence, progressWords } from "../jobs/words";
import type { Outputs } from "./stack";

export type Wish = "tiles" | "layer_tiles";

export class Sharpener {
  readonly #asked = new Set<Wish>();

  constructor(
    private readonly render: Render,
    private readonly signal: AbortSignal,
    private readonly tell: (words: string) => void,
    private readonly done: (outputs: Outputs) => void,
  ) {}

  /** Have tiles made, also of each layer if so wished; a wish is sent once. */
  async want(wish: Wish): Promise<void> {
    if (this.#asked.has(wish)) return;
    this.#asked.add(wish);
    try {
      this.tell("Sharper tiles are asked for …");
      const asked = await renderAgain(this.render, { tiles: true, layer_tiles: wish === "layer_tiles" }, this.signal);
      const render = await this.#end(asked.links.self!);
      const sentence = failureSentence(render);
      if (sentence) return this.tell(`There are no sharper tiles: ${sentence}`);
      this.done({ render, manifest: await read<Manifest>(render.links.manifest!, this.signal) });
      this.tell("");
    } catch (error) {
      if (!this.signal.aborted) this.tell(`There are no sharper tiles: ${(error as Error).message}`);
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
