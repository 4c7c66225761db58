// What OpenSeadragon shows: the drawing in one piece while its layers are as drawn, else one picture a layer.
//
// In the viewer's own coordinates every drawing is 1 wide, whether a preview or tiles of it are shown. Only layers that
// are on and were in view have a picture, and of that only tiles in view are loaded.

import type OpenSeadragon from "openseadragon";
import { outputUrl, type Layer, type Manifest, type Summary, type TileSet } from "../api";
import { isAsDrawn, overlaps, shown, type LayerState, type Shown } from "./layers";

/** Index of a layer, or EVERYTHING in one piece. */
export type Subject = number;
export const EVERYTHING: Subject = -1;

/** A render's outputs. */
export interface Outputs {
  render: Summary;
  manifest: Manifest;
}

interface Picture {
  key: string;
  of: Subject;
  source: object | string;
  x: number;
  y: number;
  width: number;
  opacity: number;
}

const WORTH_IT = 8; // level of 256 pixels: those below it would be requests for nothing
const PAPER = 1; // picture of the world that is always there

export class Stack {
  readonly #sharper = new Map<Subject, Outputs>();
  readonly #items = new Map<string, { of: Subject; image: OpenSeadragon.TiledImage }>();
  readonly #coming = new Set<string>();
  #wanted: Picture[] = [];

  constructor(
    readonly viewer: OpenSeadragon.Viewer,
    private readonly outputs: Outputs,
  ) {
    this.#layPaper();
  }

  /** What is shown in view without tiles. */
  blurred(state: LayerState): Subject[] {
    const { layers } = this.outputs.manifest;
    const near = (): Subject[] => shown(state, layers).filter(({ layer }) => this.#inView(layer)).map(({ layer }) => layer.index);
    return (this.#asDrawn(state) ? [EVERYTHING] : near()).filter((subject) => !this.#tilesOf(subject));
  }

  /** Go on with tiles of a subject, which another render of the same view has. */
  sharpen(subject: Subject, outputs: Outputs, state: LayerState): void {
    this.#sharper.set(subject, outputs);
    this.show(state);
  }

  /** Show this, as far as it is in view or was: what is there already stays. Call it again when the view has changed. */
  show(state: LayerState): void {
    const there = new Set([...this.#items.values()].map(({ of }) => of));
    const layers = (): Shown[] => shown(state, this.outputs.manifest.layers).filter(({ layer }) => there.has(layer.index) || this.#inView(layer));
    this.#wanted = this.#asDrawn(state) ? [this.#whole()] : layers().map(({ layer, opacity }) => this.#layer(layer, opacity));
    for (const picture of this.#wanted) this.#bring(picture);
    this.#settle();
  }

  /** Below all pictures, as large as the drawing and never loaded: how far one may go does not depend on what is on. */
  #layPaper(): void {
    const { width, height, file } = this.outputs.manifest.preview;
    const blank = { width, height, tileSize: Math.max(width, height), minLevel: 0, maxLevel: 0, getTileUrl: () => outputUrl(this.outputs.render, file) };
    this.viewer.addTiledImage({ tileSource: blank as never, width: 1, opacity: 0 });
  }

  #asDrawn(state: LayerState): boolean {
    return isAsDrawn(state, this.outputs.manifest.layers);
  }

  #inView({ extent }: Layer): boolean {
    const { x, y, width, height } = this.viewer.viewport.getBounds(true);
    const scale = this.outputs.manifest.preview.width;
    return !extent || overlaps(extent, [x * scale, y * scale, width * scale, height * scale]);
  }

  #tilesOf(subject: Subject): { render: Summary; tiles: TileSet } | null {
    for (const { render, manifest } of [this.outputs, this.#sharper.get(subject) ?? this.outputs]) {
      const tiles = subject === EVERYTHING ? manifest.tiles : manifest.layers.find(({ index }) => index === subject)?.tiles;
      if (tiles) return { render, tiles };
    }
    return null;
  }

  #whole(): Picture {
    const { render, manifest } = this.outputs;
    const place = { of: EVERYTHING, x: 0, y: 0, width: 1, opacity: 1 };
    const sharp = this.#tilesOf(EVERYTHING);
    if (sharp) return { key: `${sharp.render.id}/tiles`, source: this.#tiles("tiles_files", sharp), ...place };
    return { key: `${render.id}/preview`, source: this.#file(manifest.preview.file), ...place };
  }

  #layer(layer: Layer, opacity: number): Picture {
    const { render, manifest } = this.outputs;
    const stem = `layers/${String(layer.index).padStart(3, "0")}`;
    const of = layer.index;
    const sharp = this.#tilesOf(of);
    if (sharp) return { key: `${sharp.render.id}/${stem}/tiles`, of, source: this.#tiles(`${stem}_files`, sharp), x: 0, y: 0, width: 1, opacity };
    const [x, y, width] = layer.extent ?? [0, 0, manifest.preview.width, 0];
    const scale = 1 / manifest.preview.width;
    return { key: `${render.id}/${stem}`, of, source: this.#file(layer.file!), x: x * scale, y: y * scale, width: width * scale, opacity };
  }

  #file(name: string): object {
    return { type: "image", url: outputUrl(this.outputs.render, name) };
  }

  #tiles(folder: string, { render, tiles }: { render: Summary; tiles: TileSet }): object {
    const levels = Math.ceil(Math.log2(Math.max(tiles.width, tiles.height)));
    return {
      width: tiles.width,
      height: tiles.height,
      tileSize: tiles.tile_size,
      tileOverlap: 0,
      minLevel: Math.min(WORTH_IT, levels),
      maxLevel: levels,
      getTileUrl: (level: number, column: number, row: number) => outputUrl(render, `${folder}/${level}/${column}_${row}.webp`),
    };
  }

  #bring(picture: Picture): void {
    if (this.#items.has(picture.key)) return;
    if (this.#coming.has(picture.key)) return;
    this.#coming.add(picture.key);
    this.viewer.addTiledImage({
      tileSource: picture.source as never,
      x: picture.x,
      y: picture.y,
      width: picture.width,
      opacity: picture.opacity,
      success: (event) => {
        this.#coming.delete(picture.key);
        const image = (event as unknown as { item: OpenSeadragon.TiledImage }).item;
        this.#items.set(picture.key, { of: picture.of, image });
        image.addHandler("fully-loaded-change", () => this.#settle());
        this.#settle();
      },
      error: () => this.#coming.delete(picture.key),
    });
  }

  /**
   * Put wanted pictures in order and take the others away: a layer that is off at once, but what only gives way to a
   * sharper picture of the same, when that has come, so that nothing flickers.
   */
  #settle(): void {
    const { world } = this.viewer;
    this.#wanted.forEach(({ key, opacity }, place) => {
      const image = this.#items.get(key)?.image;
      if (!image) return;
      image.setOpacity(opacity);
      world.setItemIndex(image, Math.min(place + PAPER, world.getItemCount() - 1));
    });
    const keys = new Set(this.#wanted.map(({ key }) => key));
    const layers = new Set(this.#wanted.map(({ of }) => of));
    const complete = [...keys].every((key) => this.#items.get(key)?.image.getFullyLoaded());
    for (const [key, { of, image }] of this.#items) {
      const replaced = of === EVERYTHING || layers.has(of) || layers.has(EVERYTHING);
      if (keys.has(key) || (replaced && !complete)) continue;
      this.#items.delete(key);
      world.removeItem(image);
    }
  }
}
