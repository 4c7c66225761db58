import { describe, expect, it, vi } from "vitest";
import { Scope } from "../src/teardown";

describe("scope", () => {
  it("given things, when it ends, then the last is released first, each once, also after one that fails", () => {
    const scope = new Scope();
    const released: string[] = [];
    const complain = vi.spyOn(console, "error").mockImplementation(() => undefined);
    scope.defer(() => released.push("first"));
    scope.defer(() => {
      throw new Error("broken");
    });
    scope.keep("third", (name) => released.push(name));
    scope.end();
    scope.end();
    expect(released).toEqual(["third", "first"]);
    expect(complain).toHaveBeenCalledOnce();
    complain.mockRestore();
  });

  it("given a scope that is over, when something comes late, then it is released at once", () => {
    const scope = new Scope();
    scope.end();
    const release = vi.fn();
    scope.defer(release);
    expect(release).toHaveBeenCalledOnce();
  });

  it("given listeners, timers, observers and fetches, when it ends, then none goes on", () => {
    vi.useFakeTimers();
    const scope = new Scope();
    const target = new EventTarget();
    const heard = vi.fn();
    const observer = { disconnect: vi.fn() };
    scope.listen(target, "ping", heard);
    scope.every(10, heard);
    scope.after(10, heard);
    scope.observe(observer);
    const inner = scope.inner();
    scope.end();
    target.dispatchEvent(new Event("ping"));
    vi.advanceTimersByTime(100);
    expect(heard).not.toHaveBeenCalled();
    expect(observer.disconnect).toHaveBeenCalledOnce();
    expect([scope.signal.aborted, inner.ended]).toEqual([true, true]);
    vi.useRealTimers();
  });
});
