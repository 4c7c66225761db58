import { afterEach, expect, it, vi } from "vitest";
import { saveItem, loadItem } from "../src/storage";

afterEach(() => {
  vi.unstubAllGlobals();
});

it("given web storage, when an item is saved, then later pages can load it", () => {
  const stored = new Map<string, string>();
  vi.stubGlobal("localStorage", { getItem: (key: string) => stored.get(key) ?? null, setItem: (key: string, value: string) => stored.set(key, value) });
  saveItem("localStorage", "theme", "dark");
  expect([loadItem("localStorage", "theme"), stored.get("theme"), loadItem("localStorage", "other")]).toEqual(["dark", "dark", null]);
});

it("given blocked web storage, when an item is saved, then this page can load it", () => {
  const blocked = (): never => {
    throw new DOMException("denied", "SecurityError");
  };
  vi.stubGlobal("sessionStorage", { getItem: blocked, setItem: blocked });
  expect(loadItem("sessionStorage", "token")).toBeNull();
  saveItem("sessionStorage", "token", "t0");
  expect(loadItem("sessionStorage", "token")).toBe("t0");
});
