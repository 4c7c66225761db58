import { describe, expect, it, vi } from "vitest";
import { Scope } from "../src/teardown";

describe("scope", () => {
  it("given resources, when it ends, then each is released once in reverse order, also after a failure", () => {
    const scope = new Scope();
    const released: string[] = [];
    const consoleError = vi.spyOn(console, "error").mockImplementation(() => undefined);
    scope.defer(() => released.push("first"));
    scope.defer(() => {
      throw new Error("broken");
    });
    scope.own("third", (name) => released.push(name));
    scope.end();
    scope.end();
    expect(released).toEqual(["third", "first"]);
    expect(consoleError).toHaveBeenCalledOnce();
    consoleError.mockRestore();
  });

  it("given an ended scope, when a resource is added, then it is released immediately", () => {
    const scope = new Scope();
    scope.end();
    const release = vi.fn();
    scope.defer(release);
    expect(release).toHaveBeenCalledOnce();
  });

  it("given listeners, timers, observers and requests, when it ends, then all are stopped", () => {
    vi.useFakeTimers();
    const scope = new Scope();
    const target = new EventTarget();
    const listener = vi.fn();
    const observer = { disconnect: vi.fn() };
    scope.listen(target, "ping", listener);
    scope.every(10, listener);
    scope.after(10, listener);
    scope.observe(observer);
    const inner = scope.child();
    scope.end();
    target.dispatchEvent(new Event("ping"));
    vi.advanceTimersByTime(100);
    expect(listener).not.toHaveBeenCalled();
    expect(observer.disconnect).toHaveBeenCalledOnce();
    expect([scope.signal.aborted, inner.ended]).toEqual([true, true]);
    vi.useRealTimers();
  });
});
