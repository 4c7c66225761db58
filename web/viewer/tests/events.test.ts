import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { followEvents } from "../src/events";

const END = "event: render\ndata: {}\n\n";
const problem = (status: number, detail: string): Response => new Response(JSON.stringify({ code: "x", detail }), { status });
const quiet = (): Response => new Response(new ReadableStream());

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("sessionStorage", { getItem: () => null });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Follows a server that sends these responses, one per connection; returns the reported reasons. */
async function reasons(...responses: (() => Response)[]): Promise<string[]> {
  const reported: string[] = [];
  vi.stubGlobal("fetch", vi.fn(async () => responses.shift()!()));
  const end = followEvents("/events", new AbortController().signal, () => true, (reason) => reported.push(reason));
  await vi.advanceTimersByTimeAsync(120_000);
  await end;
  return reported;
}

it("given a server that is down, when it returns, then the outage and its end are reported", async () => {
  const down = (): Response => {
    throw new TypeError("Failed to fetch");
  };
  expect(await reasons(down, () => problem(503, "Redis does not respond: try again."), () => new Response(END))).toEqual([
    "The server does not respond. Check the connection and try again.",
    "Redis does not respond: try again.",
    "",
  ]);
});

it("given an idle connection, when it times out, then it is opened again", async () => {
  expect(await reasons(quiet, () => new Response(END))).toEqual(["", "The connection to the server was lost. Check the network.", ""]);
});

it("given a client error, when followed, then it is thrown", async () => {
  vi.stubGlobal("fetch", async () => problem(404, "There is no such render."));
  await expect(followEvents("/events", new AbortController().signal, () => true, () => undefined)).rejects.toThrow("There is no such render.");
});
