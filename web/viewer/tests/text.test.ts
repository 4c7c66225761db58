import { describe, expect, it } from "vitest";
import { outputUrl, type Manifest } from "../src/api";
import { tilesAddDetail } from "../src/drawing/tile-requests";
import { persistentQuery, parseSignedLink } from "../src/drawing/signed-link";
import { distance, formatLength, scaleOf } from "../src/drawing/units";
import { EventParser } from "../src/events";
import { Grid } from "../src/floor/grid";
import { displayState } from "../src/floor/display-state";
import { defaultPlant } from "../src/floor/plants";
import { history, Readings, type Sensor } from "../src/floor/readings";
import { sparkline } from "../src/floor/sparkline";
import { attemptText, formatBytes, failureMessage, formatProgress } from "../src/jobs/text";
import { duration, formatMemory } from "../src/operator/panels";
import { formatRoute, parseRoute, isSamePage } from "../src/router";

const MIB = 1024 ** 2;

describe("signed links", () => {
  const link = "#/drawing/0b0f?name=S%C3%BCd%201.dxf&expires=1764070000&signature=c0ffee&v=0,0,1";

  it("given a signed link, when opened, then output URLs have its signature and no new render can be requested", () => {
    const render = parseSignedLink(parseRoute(link))!;
    expect([render.filename, render.source]).toEqual(["Süd 1.dxf", ""]);
    expect(render.links.manifest).toBe("/renders/0b0f/manifest.json?expires=1764070000&signature=c0ffee");
    expect(outputUrl(render, "layers/001.webp")).toBe("/renders/0b0f/layers/001.webp?expires=1764070000&signature=c0ffee");
  });

  it("given a signed link, when the view changes, then the signature stays in the URL", () => {
    expect(parseRoute(`#/drawing/0b0f?${persistentQuery(parseRoute(link).query)}`).query.get("name")).toBe("Süd 1.dxf");
    expect(persistentQuery(parseRoute(link).query)).toBe("name=S%C3%BCd+1.dxf&expires=1764070000&signature=c0ffee");
  });

  it("given a URL without a signature, then it is not a signed link", () => {
    expect(parseSignedLink(parseRoute("#/drawing/0b0f?expires=1764070000"))).toBeNull();
    expect(persistentQuery(parseRoute("#/drawing/0b0f?v=0,0,1").query)).toBe("");
  });
});

describe("routes", () => {
  it("given a page, when its URL is parsed, then the route is the same", () => {
    const route = parseRoute(formatRoute("drawing", "a b/c", "v=0,0,1"));
    expect([route.page, route.name, route.query.get("v")]).toEqual(["drawing", "a b/c", "0,0,1"]);
    expect(isSamePage(route, parseRoute(formatRoute("drawing", "a b/c")))).toBe(true);
    expect(isSamePage(route, parseRoute("#/floor/ulm"))).toBe(false);
  });

  it("given an invalid fragment, when parsed, then the route is the job list", () => {
    for (const hash of ["", "#", "#/nowhere/x", "#/drawing/%E0%A4%A"]) expect(parseRoute(hash).name).toBe(hash.includes("nowhere") ? "x" : "");
    expect([parseRoute("#/nowhere").page, parseRoute("#/drawing").page, parseRoute("#/drawing/").page]).toEqual(["jobs", "jobs", "jobs"]);
  });
});

describe("events", () => {
  it("given a chunked stream, when parsed, then events are complete and comments are ignored", () => {
    const parser = new EventParser();
    expect(parser.push("event: progress\nda")).toEqual([]);
    expect(parser.push('ta: {"a":1}\n\n: keep-alive\n\nid: end\nevent: render\ndata: {}\n\n')).toEqual([
      { name: "progress", data: '{"a":1}' },
      { name: "render", data: "{}" },
    ]);
  });
});

describe("text", () => {
  it("given a job, when described, then the text is short", () => {
    expect(formatProgress({ percent: 40, stage: "draw", layer: "PIPES" })).toBe("draw layer PIPES, 40 %");
    expect(formatProgress({ percent: 0, stage: "", layer: "" })).toBe("0 %");
    expect(failureMessage({ state: "dead", error: { code: "poison", detail: "The render process crashed." } })).toBe("The render process crashed.");
    expect(failureMessage({ state: "cancelled", error: null })).toContain("Replay it to run it again");
    expect(failureMessage({ state: "succeeded", error: null })).toBeNull();
    expect([null, 12, 3_400, 2.5 * MIB, 512 * MIB, 1024 * MIB, 20 * 1024 * MIB].map(formatBytes)).toEqual(["", "12 B", "3.3 KiB", "2.5 MiB", "512 MiB", "1,024 MiB", "20.0 GiB"]);
  });
});

describe("explanations", () => {
  it("given an attempt, when described, then the text equals that of the command line", () => {
    const explanation = "Attempt 2 was killed by the kernel at 482 MiB.";
    expect(attemptText({ number: 2, outcome: "crashed", explanation })).toBe(explanation);
    expect(attemptText({ number: 1, outcome: "requeued", explanation: "The store was unavailable." })).toBe("Attempt 1: The store was unavailable.");
    expect(attemptText({ number: 3, outcome: "succeeded", explanation: null })).toBe("Attempt 3: succeeded");
  });
});

describe("measuring", () => {
  const source = { format: "dxf", pages: 1, extents: [-10, 0, 190, 100], units: "mm", width: null, height: null };
  const manifest = { source, preview: { file: "preview.webp", width: 2048, height: 1024 }, options: {} } as unknown as Manifest;

  it("given a drawing, when measured, then lengths are in its units; those of an image are in pixels", () => {
    expect(distance({ x: 0, y: 0 }, { x: 0.3, y: 0.4 }, scaleOf(manifest))).toBeCloseTo(100);
    const picture = { ...manifest, source: { ...source, extents: null, width: 4000 } } as unknown as Manifest;
    expect(scaleOf(picture)).toEqual({ units: 4000, name: "px" });
    expect(scaleOf({ ...picture, options: { region: "2500,0,5000,10000" } })).toEqual({ units: 1000, name: "px" });
  });

  it("given a preview, when zoomed in, then tiles are requested only if they add detail", () => {
    const addsDetail = (format: string, width: number | null): boolean =>
      tilesAddDetail({ ...manifest, source: { ...source, format, extents: format === "dxf" ? source.extents : null, width } } as unknown as Manifest);
    expect([addsDetail("dxf", null), addsDetail("pdf", 800), addsDetail("svg", 800), addsDetail("tiff", 9000)]).toEqual([true, true, true, true]);
    expect(addsDetail("png", 2048)).toBe(false);
  });

  it("given a length, when formatted, then it has four significant digits", () => {
    expect([formatLength(13410.7, "mm"), formatLength(1.23456, "m"), formatLength(0, "m")]).toEqual(["13,411 mm", "1.235 m", "0 m"]);
  });
});

describe("operator", () => {
  it("given memory usage, when formatted, then it shows the usage, limit and peak that are known", () => {
    expect(formatMemory({ current: 180 * MIB, peak: 402 * MIB, limit: 512 * MIB })).toBe("180 MiB of 512 MiB, peak 402 MiB");
    expect(formatMemory({ current: 180 * MIB, peak: null, limit: null })).toBe("180 MiB, no limit");
    expect(formatMemory({ current: null, peak: null, limit: null })).toBe("unknown");
    expect([duration(119), duration(180), duration(36_000)]).toEqual(["119 s", "3 min", "10 h"]);
  });
});

describe("floor", () => {
  it("given plants, when none is named, then it is the most recently viewed one, or the only one", () => {
    const active = (...names: string[]) => names.map((plant) => ({ plant, last_seen_at: 0, machines: 1 }));
    expect(defaultPlant(active("bern", "ulm"), ["gone", "ulm"])).toBe("ulm");
    expect(defaultPlant(active("bern"), ["gone"])).toBe("bern");
    expect(defaultPlant(active("bern", "ulm"), ["gone"])).toBeUndefined();
    expect([defaultPlant([], ["gone"]), defaultPlant([], [])]).toEqual(["gone", undefined]);
  });

  const sensor = (machine: string, rpm: number | null = 1): Sensor => ({
    machine, rpm, status: "running", state: "alive", seen_at: 0, temperature_c: null, vibration_mm_s: null,
  });

  it("given any number of machines, when laid out, then each is found at its position, and none in the aisles", () => {
    for (const count of [1, 7, 10_000]) {
      const grid = new Grid(count);
      for (let index = 0; index < count; index += 13) expect(grid.indexAt(grid.position(index))).toBe(index);
      expect(grid.indexAt({ x: grid.width, z: 0 })).toBeNull();
    }
    const grid = new Grid(10_000);
    expect(grid.indexAt({ x: 10.7 - grid.width / 2, z: 0 })).toBeNull(); // an aisle
  });

  it("given readings, when applied, then only machines whose display state changed are returned", () => {
    const readings = new Readings();
    expect(readings.apply([sensor("a"), sensor("b")])).toEqual([]);
    expect(readings.apply([{ ...sensor("b", null), status: "fault" }, sensor("a", 3)])).toEqual([1]);
    expect(readings.applyStates({ a: "lost", unknown: "lost" })).toEqual([0]);
    expect(readings.counts()).toEqual(new Map([["lost", 1], ["fault", 1]]));
    expect(history(readings.machines[0]!, 0)).toEqual([1, 3]);
    expect(history(readings.machines[1]!, 0)).toEqual([1]);
  });

  it("given a stale machine, when displayed, then its last status is ignored", () => {
    expect(displayState({ state: "stale", status: "fault" })).toBe("stale");
    expect(displayState({ state: "alive", status: "something new" })).toBe("idle");
  });

  it("given values, when plotted, then the highest is at the top", () => {
    expect(sparkline([1])).toBe("");
    expect(sparkline([0, 10])).toBe("M0.0 29.0L100.0 1.0");
    expect(sparkline([5, 5])).toBe("M0.0 15.0L100.0 15.0");
  });
});
