import { describe, expect, it } from "vitest";
import { outputUrl, type Manifest } from "../src/api";
import { canBeSharper } from "../src/drawing/sharpen";
import { keptQuery, signedRender } from "../src/drawing/signed";
import { distance, lengthWords, scaleOf } from "../src/drawing/units";
import { EventParser } from "../src/events";
import { Grid } from "../src/floor/grid";
import { kindOf } from "../src/floor/kinds";
import { homePlant } from "../src/floor/plants";
import { history, Readings, type Sensor } from "../src/floor/readings";
import { sparkline } from "../src/floor/sparkline";
import { attemptSentence, bytesWords, failureSentence, progressWords } from "../src/jobs/words";
import { duration, fenceWords } from "../src/operator/panels";
import { address, parse, samePage } from "../src/router";

describe("signed links", () => {
  const link = "#/drawing/0b0f?name=S%C3%BCd%201.dxf&until=1764070000&signature=c0ffee&v=0,0,1";

  it("given one, when opened, then outputs are asked for by its signature and nothing else can be asked for", () => {
    const render = signedRender(parse(link))!;
    expect([render.filename, render.source]).toEqual(["Süd 1.dxf", ""]);
    expect(render.links.manifest).toBe("/renders/0b0f/manifest.json?until=1764070000&signature=c0ffee");
    expect(outputUrl(render, "layers/001.webp")).toBe("/renders/0b0f/layers/001.webp?until=1764070000&signature=c0ffee");
  });

  it("given one, when what is shown changes, then the signature stays in the address", () => {
    expect(parse(`#/drawing/0b0f?${keptQuery(parse(link).query)}`).query.get("name")).toBe("Süd 1.dxf");
    expect(keptQuery(parse(link).query)).toBe("name=S%C3%BCd+1.dxf&until=1764070000&signature=c0ffee");
  });

  it("given an address without one, then it is no signed link", () => {
    expect(signedRender(parse("#/drawing/0b0f?until=1764070000"))).toBeNull();
    expect(keptQuery(parse("#/drawing/0b0f?v=0,0,1").query)).toBe("");
  });
});

describe("addresses", () => {
  it("given a page, when its address is parsed, then it is the same page", () => {
    const route = parse(address("drawing", "a b/c", "v=0,0,1"));
    expect([route.page, route.name, route.query.get("v")]).toEqual(["drawing", "a b/c", "0,0,1"]);
    expect(samePage(route, parse(address("drawing", "a b/c")))).toBe(true);
    expect(samePage(route, parse("#/floor/ulm"))).toBe(false);
  });

  it("given nonsense, when parsed, then it is the list of jobs", () => {
    for (const hash of ["", "#", "#/nowhere/x", "#/drawing/%E0%A4%A"]) expect(parse(hash).name).toBe(hash.includes("nowhere") ? "x" : "");
    expect([parse("#/nowhere").page, parse("#/drawing").page, parse("#/drawing/").page]).toEqual(["jobs", "jobs", "jobs"]);
  });
});

describe("events", () => {
  it("given a stream in pieces, when parsed, then events come whole and comments not at all", () => {
    const parser = new EventParser();
    expect(parser.push("event: progress\nda")).toEqual([]);
    expect(parser.push('ta: {"a":1}\n\n: still here\n\nid: end\nevent: render\ndata: {}\n\n')).toEqual([
      { name: "progress", data: '{"a":1}' },
      { name: "render", data: "{}" },
    ]);
  });
});

describe("words", () => {
  it("given a job, when told, then in few words", () => {
    expect(progressWords({ percent: 40, stage: "draw", layer: "PIPES" })).toBe("draw PIPES, 40 %");
    expect(progressWords({ percent: 0, stage: "", layer: "" })).toBe("0 %");
    expect(failureSentence({ state: "dead", error: { code: "poison", detail: "It died." } })).toBe("It died.");
    expect(failureSentence({ state: "cancelled", error: null })).toContain("Drop the drawing again");
    expect(failureSentence({ state: "succeeded", error: null })).toBeNull();
    expect([bytesWords(null), bytesWords(12), bytesWords(3_400), bytesWords(309_037)]).toEqual(["", "12 bytes", "3.4 kB", "309 kB"]);
  });
});

describe("stories", () => {
  it("given an attempt, when told, then as the command line tells it", () => {
    const story = "Attempt 2 was killed by the kernel at 505 MB.";
    expect(attemptSentence({ number: 2, outcome: "died", story })).toBe(story);
    expect(attemptSentence({ number: 1, outcome: "released", story: "The store was away." })).toBe("Attempt 1: The store was away.");
    expect(attemptSentence({ number: 3, outcome: "succeeded", story: null })).toBe("Attempt 3: succeeded");
  });
});

describe("measuring", () => {
  const source = { format: "dxf", pages: 1, extents: [-10, 0, 190, 100], units: "mm", width: null, height: null };
  const manifest = { source, preview: { file: "preview.webp", width: 2048, height: 1024 }, options: {} } as unknown as Manifest;

  it("given a drawing, when measured, then in its units; a picture in pixels", () => {
    expect(distance({ x: 0, y: 0 }, { x: 0.3, y: 0.4 }, scaleOf(manifest))).toBeCloseTo(100);
    const picture = { ...manifest, source: { ...source, extents: null, width: 4000 } } as unknown as Manifest;
    expect(scaleOf(picture)).toEqual({ units: 4000, name: "px" });
    expect(scaleOf({ ...picture, options: { region: "2500,0,5000,10000" } })).toEqual({ units: 1000, name: "px" });
  });

  it("given a preview, when looked at closer, then tiles are made only where they would show more", () => {
    const sharper = (format: string, width: number | null): boolean =>
      canBeSharper({ ...manifest, source: { ...source, format, extents: format === "dxf" ? source.extents : null, width } } as unknown as Manifest);
    expect([sharper("dxf", null), sharper("pdf", 800), sharper("svg", 800), sharper("tiff", 9000)]).toEqual([true, true, true, true]);
    expect(sharper("png", 2048)).toBe(false);
  });

  it("given a length, when told, then with the digits that count", () => {
    expect([lengthWords(13410.7, "mm"), lengthWords(1.23456, "m"), lengthWords(0, "m")]).toEqual(["13,411 mm", "1.235 m", "0 m"]);
  });
});

describe("operator", () => {
  it("given a fence, when told, then in use, limit and peak, as far as anything tells", () => {
    expect(fenceWords({ current: 180e6, peak: 402e6, limit: 537e6 })).toBe("180 MB of 537 MB, 402 MB at most");
    expect(fenceWords({ current: 180e6, peak: null, limit: null })).toBe("180 MB, no limit");
    expect(fenceWords({ current: null, peak: null, limit: null })).toBe("nothing tells");
    expect([duration(119), duration(180), duration(36_000)]).toEqual(["119 s", "3 min", "10 h"]);
  });
});

describe("floor", () => {
  it("given plants, when none is named, then it is the last one looked at, or the only one", () => {
    const heard = (...names: string[]) => names.map((plant) => ({ plant, heard_at: 0, machines: 1 }));
    expect(homePlant(heard("bern", "ulm"), ["gone", "ulm"])).toBe("ulm");
    expect(homePlant(heard("bern"), ["gone"])).toBe("bern");
    expect(homePlant(heard("bern", "ulm"), ["gone"])).toBeUndefined();
    expect([homePlant([], ["gone"]), homePlant([], [])]).toEqual(["gone", undefined]);
  });

  const sensor = (machine: string, rpm: number | null = 1): Sensor => ({
    machine, rpm, status: "running", state: "alive", seen_at: 0, temperature_c: null, vibration_mm_s: null,
  });

  it("given any number of machines, when laid out, then each is found where it stands, and nobody between", () => {
    for (const count of [1, 7, 10_000]) {
      const grid = new Grid(count);
      for (let index = 0; index < count; index += 13) expect(grid.at(grid.place(index))).toBe(index);
      expect(grid.at({ x: grid.width, z: 0 })).toBeNull();
    }
    const grid = new Grid(10_000);
    expect(grid.at({ x: 10.7 - grid.width / 2, z: 0 })).toBeNull(); // an aisle
  });

  it("given readings, when they come, then only machines that look otherwise are told", () => {
    const readings = new Readings();
    expect(readings.apply([sensor("a"), sensor("b")])).toEqual([]);
    expect(readings.apply([{ ...sensor("b", null), status: "fault" }, sensor("a", 3)])).toEqual([1]);
    expect(readings.applyStates({ a: "lost", nobody: "lost" })).toEqual([0]);
    expect(readings.counts()).toEqual(new Map([["lost", 1], ["fault", 1]]));
    expect(history(readings.machines[0]!, 0)).toEqual([1, 3]);
    expect(history(readings.machines[1]!, 0)).toEqual([1]);
  });

  it("given silence, when a machine said otherwise before, then silence counts", () => {
    expect(kindOf({ state: "stale", status: "fault" })).toBe("stale");
    expect(kindOf({ state: "alive", status: "something new" })).toBe("idle");
  });

  it("given values, when drawn as a line, then the highest is at the top", () => {
    expect(sparkline([1])).toBe("");
    expect(sparkline([0, 10])).toBe("M0.0 29.0L100.0 1.0");
    expect(sparkline([5, 5])).toBe("M0.0 15.0L100.0 15.0");
  });
});
