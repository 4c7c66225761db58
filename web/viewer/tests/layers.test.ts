import { describe, expect, it } from "vitest";
import type { Layer } from "../src/api";
import { allOff, allOn, asDrawn, askedFor, dimmed, isAsDrawn, overlaps, shown, soloed, switchedOff, toggled } from "../src/drawing/layers";
import { readLayers, readView, write } from "../src/drawing/permalink";

const layer = (index: number, visible = true, file: string | null = `layers/00${index}.webp`): Layer => ({
  index, name: `L${index}`, colour: "#ff0000", visible, empty: file === null, extent: [0, 0, 10, 10], file, tiles: null, error: null,
});
const LAYERS = [layer(0), layer(1, false), layer(2, true, null), layer(3)];
const names = (state = asDrawn(LAYERS)): string[] => shown(state, LAYERS).map(({ layer: { name } }) => name);

describe("layers", () => {
  it("given a drawing, when opened, then those are shown that are visible and not empty", () => {
    expect(names()).toEqual(["L0", "L3"]);
    expect(isAsDrawn(asDrawn(LAYERS), LAYERS)).toBe(true);
  });

  it("given boxes, when they share a pixel, then they overlap; side by side they do not", () => {
    expect([overlaps([0, 0, 10, 10], [9, 9, 5, 5]), overlaps([0, 0, 10, 10], [10, 0, 5, 5]), overlaps([2, 2, 1, 1], [0, 0, 9, 9])]).toEqual([true, false, true]);
  });

  it("given a layer, when toggled twice, then all is as drawn", () => {
    const once = toggled(asDrawn(LAYERS), 3);
    expect(names(once)).toEqual(["L0"]);
    expect(isAsDrawn(once, LAYERS)).toBe(false);
    expect(isAsDrawn(toggled(once, 3), LAYERS)).toBe(true);
  });

  it("given a hidden layer, when soloed, then it alone is shown until it is soloed again", () => {
    const solo = soloed(asDrawn(LAYERS), 1);
    expect(names(solo)).toEqual(["L1"]);
    expect(names(soloed(solo, 1))).toEqual(["L0", "L3"]);
  });

  it("given an opacity, when it is nothing, then the layer is not loaded; when it is full, then it is as drawn", () => {
    expect(names(dimmed(asDrawn(LAYERS), 0, 0))).toEqual(["L3"]);
    expect(shown(dimmed(asDrawn(LAYERS), 0, 30), LAYERS)[0]!.opacity).toBe(0.3);
    expect(isAsDrawn(dimmed(dimmed(asDrawn(LAYERS), 0, 30), 0, 100), LAYERS)).toBe(true);
  });

  it("given all or none, when chosen, then empty layers stay away", () => {
    expect(names(allOn(asDrawn(LAYERS), LAYERS))).toEqual(["L0", "L1", "L3"]);
    expect(names(allOff(asDrawn(LAYERS)))).toEqual([]);
  });
});

describe("layers switched off", () => {
  const layers = [layer(0), layer(1, false, null), layer(2, true, null), layer(3, false, null)];

  it("given a drawing, when opened, then they are told from those that are empty", () => {
    expect(switchedOff(layers).map(({ name }) => name)).toEqual(["L1", "L3"]);
  });

  it("given some of them, when asked for, then all that is on is asked for as well", () => {
    expect(askedFor(layers, new Set([3]))).toBe("L0,L2,L3");
  });

  it("given names that a list cannot say, when asked for, then they cannot be", () => {
    const odd = (name: string): Layer[] => [{ ...layer(0), name }, layer(1, false, null)];
    expect(["a,b", " a", "", "a".repeat(4096)].map((name) => askedFor(odd(name), new Set([1])))).toEqual([null, null, null, null]);
  });
});

describe("permalink", () => {
  it("given a view and layers, when written and read, then they are the same", () => {
    const state = dimmed(toggled(toggled(asDrawn(LAYERS), 0), 1), 3, 40);
    const query = new URLSearchParams(write({ left: 0.25, top: -0.1, width: 0.5 }, state, LAYERS));
    expect(readView(query)).toEqual({ left: 0.25, top: -0.1, width: 0.5 });
    expect(readLayers(query, LAYERS)).toEqual(state);
  });

  it("given layers as drawn, when written, then the address says nothing of them", () => {
    expect(write(null, asDrawn(LAYERS), LAYERS)).toBe("");
  });

  it("given nonsense, when read, then it counts as not said", () => {
    const query = new URLSearchParams("v=1,x,-2&off=99,zz&on=2&o=0:900,3:-1,x&solo=7");
    expect(readView(query)).toBeNull();
    expect(readLayers(query, LAYERS)).toEqual(asDrawn(LAYERS));
  });
});
