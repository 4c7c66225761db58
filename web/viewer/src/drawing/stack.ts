// What OpenSeadragon shows: the drawing in one piece while its layers are as drawn, else one picture a layer.
//
// In the viewer's own coordinates every drawing is 1 wide, whether a preview or tiles of it are shown. Only layers that
// are on have a picture, and of that only tiles in view are loaded.

import type OpenSeadragon from "openseadragon";
import { outputUrl, type Layer, type Manifest, type Summary, type TileSet } from "../api";
import { isAsDrawn, shown, type LayerState } from "./layers";

/** A render's outputs. */
export interface Outputs {
  render: Summary;
  manifest: Manifest;
}

interface Picture {
  key: string;
  /** Index of a layer, null for all of them in one piece. */
  of: number | null;
  source: object | string;
  x: number;
  y: number;
  width: number;
  opacity: number;
}

export class Stack {
  readonly #items = new Map<string, { of: number | null; image: OpenSeadragon.TiledImage }>();
  readonly #coming = new Set<string>();
  #wanted: Picture[] = [];

  constructor(
    readonly viewer: OpenSeadragon.Viewer,
    private outputs: Outputs,
  ) {}

  /** Whether there are tiles for what is shown. */
  sharp(state: LayerState): boolean {
    const { manifest } = this.outputs;
    if (isAsDrawn(state, manifest.layers)) return manifest.tiles !== null;
    return shown(state, manifest.layers).every(({ layer }) => layer.tiles);
  }

  /** Go on with the outputs of another render of the same view. */
  use(outputs: Outputs, state: LayerState): void {
    this.outputs = outputs;
    this.show(state);
  }

  show(state: LayerState): void {
    const { manifest } = this.outputs;
    this.#wanted = isAsDrawn(state, manifest.layers)
      ? [this.#whole()]
      : shown(state, manifest.layers).map(({ layer, opacity }) => this.#layer(layer, opacity));
    for (const picture of this.#wanted) this.#bring(picture);
    this.#settle();
  }

  #whole(): Picture {
    const { render, manifest } = this.outputs;
    const place = { of: null, x: 0, y: 0, width: 1, opacity: 1 };
    if (manifest.tiles) return { key: `${render.id}/tiles`, source: this.#tiles("tiles_files", manifest.tiles), ...place };
    return { key: `${render.id}/preview`, source: this.#file(manifest.preview.file), ...place };
  }

  #layer(layer: Layer, opacity: number): Picture {
    const { render, manifest } = this.outputs;
    const stem = `layers/${String(layer.index).padStart(3, "0")}`;
    const key = `${render.id}/${stem}${layer.tiles ? "/tiles" : ""}`;
    const of = layer.index;
    if (layer.tiles) return { key, of, source: this.#tiles(`${stem}_files`, layer.tiles), x: 0, y: 0, width: 1, opacity };
    const [x, y, width] = layer.extent ?? [0, 0, manifest.preview.width, 0];
    const scale = 1 / manifest.preview.width;
    return { key, of, source: this.#file(layer.file!), x: x * scale, y: y * scale, width: width * scale, opacity };
  }

  #file(name: string): object {
    return { type: "image", url: outputUrl(this.outputs.render, name) };
  }

  #tiles(folder: string, tiles: TileSet): object {
    const { render } = this.outputs;
    return {
      width: tiles.width,
      height: tiles.height,
      tileSize: tiles.tile,
      tileOverlap: 0,
      minLevel: 8, // 256 pixels: the levels below it would be requests for nothing
      maxLevel: Math.ceil(Math.log2(Math.max(tiles.width, tiles.height))),
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
      world.setItemIndex(image, Math.min(place, world.getItemCount() - 1));
    });
    const keys = new Set(this.#wanted.map(({ key }) => key));
    const layers = new Set(this.#wanted.map(({ of }) => of));
    const complete = [...keys].every((key) => this.#items.get(key)?.image.getFullyLoaded());
    for (const [key, { of, image }] of this.#items) {
      const replaced = of === null || layers.has(of) || layers.has(null);
      if (keys.has(key) || (replaced && !complete)) continue;
      this.#items.delete(key);
      world.removeItem(image);
    }
  }
}
