import { afterEach, expect, it, vi } from "vitest";
import { keep, kept } from "../src/kept";

afterEach(() => {
  vi.unstubAllGlobals();
});

it("given a browser that keeps things, when kept, then they are there for the next page", () => {
  const stored = new Map<string, string>();
  vi.stubGlobal("localStorage", { getItem: (key: string) => stored.get(key) ?? null, setItem: (key: string, value: string) => stored.set(key, value) });
  keep("localStorage", "theme", "dark");
  expect([kept("localStorage", "theme"), stored.get("theme"), kept("localStorage", "other")]).toEqual(["dark", "dark", null]);
});

it("given a browser that keeps nothing, when kept, then this page remembers", () => {
  const refuse = (): never => {
    throw new DOMException("denied", "SecurityError");
  };
  vi.stubGlobal("sessionStorage", { getItem: refuse, setItem: refuse });
  expect(kept("sessionStorage", "token")).toBeNull();
  keep("sessionStorage", "token", "t0");
  expect(kept("sessionStorage", "token")).toBe("t0");
});
