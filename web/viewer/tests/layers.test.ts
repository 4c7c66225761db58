import { describe, expect, it } from "vitest";
import type { Layer } from "../src/api";
import { allOff, allOn, defaultLayers, layersOption, withOpacity, isDefault, overlaps, visibleLayers, soloed, switchedOff, toggled } from "../src/drawing/layers";
import { parseLayers, parseView, formatView } from "../src/drawing/permalink";

const layer = (index: number, visible = true, file: string | null = `layers/00${index}.webp`): Layer => ({
  index, name: `L${index}`, colour: "#ff0000", visible, empty: file === null, extent: [0, 0, 10, 10], file, tiles: null, error: null,
});
const LAYERS = [layer(0), layer(1, false), layer(2, true, null), layer(3)];
const names = (state = defaultLayers(LAYERS)): string[] => visibleLayers(state, LAYERS).map(({ layer: { name } }) => name);

describe("layers", () => {
  it("given a drawing, when opened, then layers that are visible and not empty are shown", () => {
    expect(names()).toEqual(["L0", "L3"]);
    expect(isDefault(defaultLayers(LAYERS), LAYERS)).toBe(true);
  });

  it("given boxes, when they share a pixel, then they overlap; side by side they do not", () => {
    expect([overlaps([0, 0, 10, 10], [9, 9, 5, 5]), overlaps([0, 0, 10, 10], [10, 0, 5, 5]), overlaps([2, 2, 1, 1], [0, 0, 9, 9])]).toEqual([true, false, true]);
  });

  it("given a layer, when toggled twice, then the state is the default", () => {
    const once = toggled(defaultLayers(LAYERS), 3);
    expect(names(once)).toEqual(["L0"]);
    expect(isDefault(once, LAYERS)).toBe(false);
    expect(isDefault(toggled(once, 3), LAYERS)).toBe(true);
  });

  it("given a hidden layer, when soloed, then it alone is shown until it is soloed again", () => {
    const solo = soloed(defaultLayers(LAYERS), 1);
    expect(names(solo)).toEqual(["L1"]);
    expect(names(soloed(solo, 1))).toEqual(["L0", "L3"]);
  });

  it("given an opacity, when it is zero, then the layer is hidden; when it is full, then the state is the default", () => {
    expect(names(withOpacity(defaultLayers(LAYERS), 0, 0))).toEqual(["L3"]);
    expect(visibleLayers(withOpacity(defaultLayers(LAYERS), 0, 30), LAYERS)[0]!.opacity).toBe(0.3);
    expect(isDefault(withOpacity(withOpacity(defaultLayers(LAYERS), 0, 30), 0, 100), LAYERS)).toBe(true);
  });

  it("given all or none, when selected, then empty layers stay hidden", () => {
    expect(names(allOn(defaultLayers(LAYERS), LAYERS))).toEqual(["L0", "L1", "L3"]);
    expect(names(allOff(defaultLayers(LAYERS)))).toEqual([]);
  });
});

describe("layers turned off", () => {
  const layers = [layer(0), layer(1, false, null), layer(2, true, null), layer(3, false, null)];

  it("given a drawing, when opened, then they are distinguished from empty ones", () => {
    expect(switchedOff(layers).map(({ name }) => name)).toEqual(["L1", "L3"]);
  });

  it("given some of them, when selected, then the option also contains the visible layers", () => {
    expect(layersOption(layers, new Set([3]))).toBe("L0,L2,L3");
  });

  it("given names that cannot be listed, when selected, then there is no option", () => {
    const odd = (name: string): Layer[] => [{ ...layer(0), name }, layer(1, false, null)];
    expect(["a,b", " a", "", "a".repeat(4096)].map((name) => layersOption(odd(name), new Set([1])))).toEqual([null, null, null, null]);
  });
});

describe("permalink", () => {
  it("given a view and layers, when formatted and parsed, then they are the same", () => {
    const state = withOpacity(toggled(toggled(defaultLayers(LAYERS), 0), 1), 3, 40);
    const query = new URLSearchParams(formatView({ left: 0.25, top: -0.1, width: 0.5 }, state, LAYERS));
    expect(parseView(query)).toEqual({ left: 0.25, top: -0.1, width: 0.5 });
    expect(parseLayers(query, LAYERS)).toEqual(state);
  });

  it("given default layers, when formatted, then the query is empty", () => {
    expect(formatView(null, defaultLayers(LAYERS), LAYERS)).toBe("");
  });

  it("given invalid values, when parsed, then they are ignored", () => {
    const query = new URLSearchParams("v=1,x,-2&off=99,zz&on=2&o=0:900,3:-1,x&solo=7");
    expect(parseView(query)).toBeNull();
    expect(parseLayers(query, LAYERS)).toEqual(defaultLayers(LAYERS));
  });
});
