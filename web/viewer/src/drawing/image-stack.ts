// The images in OpenSeadragon: a single image of the whole drawing while the layers have their default visibility, else
// one image per layer.
//
// In viewer coordinates the width of every drawing is 1, for previews and for tiles. Layers are loaded when they are
// visible and in view, and tiles when they are in view.

import type OpenSeadragon from "openseadragon";
import { outputUrl, type Layer, type Manifest, type Summary, type TileSet } from "../api";
import { isDefault, overlaps, visibleLayers, type LayerState, type VisibleLayer } from "./layers";

/** Index of a layer, or WHOLE_DRAWING. */
export type Subject = number;
export const WHOLE_DRAWING: Subject = -1;

/** The outputs of a render. */
export interface Outputs {
  render: Summary;
  manifest: Manifest;
}

interface LayerImage {
  key: string;
  subject: Subject;
  source: object | string;
  x: number;
  y: number;
  width: number;
  opacity: number;
}

const MIN_LEVEL = 8; // level of 256 pixels; smaller levels are not worth a request
const BASE_ITEMS = 1; // the blank sheet

export class ImageStack {
  readonly #tileOutputs = new Map<Subject, Outputs>();
  readonly #items = new Map<string, { subject: Subject; image: OpenSeadragon.TiledImage }>();
  readonly #loading = new Set<string>();
  #target: LayerImage[] = [];

  constructor(
    readonly viewer: OpenSeadragon.Viewer,
    private readonly outputs: Outputs,
  ) {
    this.#addBlankSheet();
  }

  /** Subjects in view that have no tiles. */
  subjectsWithoutTiles(state: LayerState): Subject[] {
    const { layers } = this.outputs.manifest;
    const visible = (): Subject[] => visibleLayers(state, layers).filter(({ layer }) => this.#inView(layer)).map(({ layer }) => layer.index);
    return (this.#isDefault(state) ? [WHOLE_DRAWING] : visible()).filter((subject) => !this.#tilesOf(subject));
  }

  /** Displays the tiles of a subject, which are outputs of another render. */
  addTiles(subject: Subject, outputs: Outputs, state: LayerState): void {
    this.#tileOutputs.set(subject, outputs);
    this.show(state);
  }

  /** Displays the visible layers that are in view or already loaded. Call it again when the view changes. */
  show(state: LayerState): void {
    const loaded = new Set([...this.#items.values()].map(({ subject }) => subject));
    const layers = (): VisibleLayer[] => visibleLayers(state, this.outputs.manifest.layers).filter(({ layer }) => loaded.has(layer.index) || this.#inView(layer));
    this.#target = this.#isDefault(state) ? [this.#wholeDrawing()] : layers().map(({ layer, opacity }) => this.#layer(layer, opacity));
    for (const image of this.#target) this.#load(image);
    this.#arrange();
  }

  /** Adds an invisible item of the drawing's size, so that the zoom limits do not depend on the visible layers. */
  #addBlankSheet(): void {
    const { width, height, file } = this.outputs.manifest.preview;
    const blank = { width, height, tileSize: Math.max(width, height), minLevel: 0, maxLevel: 0, getTileUrl: () => outputUrl(this.outputs.render, file) };
    this.viewer.addTiledImage({ tileSource: blank as never, width: 1, opacity: 0 });
  }

  #isDefault(state: LayerState): boolean {
    return isDefault(state, this.outputs.manifest.layers);
  }

  #inView({ extent }: Layer): boolean {
    const { x, y, width, height } = this.viewer.viewport.getBounds(true);
    const scale = this.outputs.manifest.preview.width;
    return !extent || overlaps(extent, [x * scale, y * scale, width * scale, height * scale]);
  }

  #tilesOf(subject: Subject): { render: Summary; tiles: TileSet } | null {
    for (const { render, manifest } of [this.outputs, this.#tileOutputs.get(subject) ?? this.outputs]) {
      const tiles = subject === WHOLE_DRAWING ? manifest.tiles : manifest.layers.find(({ index }) => index === subject)?.tiles;
      if (tiles) return { render, tiles };
    }
    return null;
  }

  #wholeDrawing(): LayerImage {
    const { render, manifest } = this.outputs;
    const common = { subject: WHOLE_DRAWING, x: 0, y: 0, width: 1, opacity: 1 };
    const tiles = this.#tilesOf(WHOLE_DRAWING);
    if (tiles) return { key: `${tiles.render.id}/tiles`, source: this.#tileSource("tiles_files", tiles), ...common };
    return { key: `${render.id}/preview`, source: this.#imageSource(manifest.preview.file), ...common };
  }

  #layer(layer: Layer, opacity: number): LayerImage {
    const { render, manifest } = this.outputs;
    const stem = `layers/${String(layer.index).padStart(3, "0")}`;
    const subject = layer.index;
    const tiles = this.#tilesOf(subject);
    if (tiles) return { key: `${tiles.render.id}/${stem}/tiles`, subject, source: this.#tileSource(`${stem}_files`, tiles), x: 0, y: 0, width: 1, opacity };
    const [x, y, width] = layer.extent ?? [0, 0, manifest.preview.width, 0];
    const scale = 1 / manifest.preview.width;
    return { key: `${render.id}/${stem}`, subject, source: this.#imageSource(layer.file!), x: x * scale, y: y * scale, width: width * scale, opacity };
  }

  #imageSource(name: string): object {
    return { type: "image", url: outputUrl(this.outputs.render, name) };
  }

  #tileSource(folder: string, { render, tiles }: { render: Summary; tiles: TileSet }): object {
    const levels = Math.ceil(Math.log2(Math.max(tiles.width, tiles.height)));
    return {
      width: tiles.width,
      height: tiles.height,
      tileSize: tiles.tile_size,
      tileOverlap: 0,
      minLevel: Math.min(MIN_LEVEL, levels),
      maxLevel: levels,
      getTileUrl: (level: number, column: number, row: number) => outputUrl(render, `${folder}/${level}/${column}_${row}.webp`),
    };
  }

  #load(layerImage: LayerImage): void {
    if (this.#items.has(layerImage.key)) return;
    if (this.#loading.has(layerImage.key)) return;
    this.#loading.add(layerImage.key);
    this.viewer.addTiledImage({
      tileSource: layerImage.source as never,
      x: layerImage.x,
      y: layerImage.y,
      width: layerImage.width,
      opacity: layerImage.opacity,
      success: (event) => {
        this.#loading.delete(layerImage.key);
        const image = (event as unknown as { item: OpenSeadragon.TiledImage }).item;
        this.#items.set(layerImage.key, { subject: layerImage.subject, image });
        image.addHandler("fully-loaded-change", () => this.#arrange());
        this.#arrange();
      },
      error: () => this.#loading.delete(layerImage.key),
    });
  }

  /**
   * Orders the target images and removes all others. Images of hidden layers are removed at once; an image that is
   * replaced by a sharper one is removed when that has loaded, to avoid flicker.
   */
  #arrange(): void {
    const { world } = this.viewer;
    this.#target.forEach(({ key, opacity }, position) => {
      const image = this.#items.get(key)?.image;
      if (!image) return;
      image.setOpacity(opacity);
      world.setItemIndex(image, Math.min(position + BASE_ITEMS, world.getItemCount() - 1));
    });
    const keys = new Set(this.#target.map(({ key }) => key));
    const layers = new Set(this.#target.map(({ subject }) => subject));
    const complete = [...keys].every((key) => this.#items.get(key)?.image.getFullyLoaded());
    for (const [key, { subject, image }] of this.#items) {
      const replaced = subject === WHOLE_DRAWING || layers.has(subject) || layers.has(WHOLE_DRAWING);
      if (keys.has(key) || (replaced && !complete)) continue;
      this.#items.delete(key);
      world.removeItem(image);
    }
  }
}
