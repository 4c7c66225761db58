import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { follow } from "../src/events";

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

/** Follow a server that gives these answers, one a try; what was told of it meanwhile. */
async function told(...answers: (() => Response)[]): Promise<string[]> {
  const words: string[] = [];
  vi.stubGlobal("fetch", vi.fn(async () => answers.shift()!()));
  const end = follow("/events", new AbortController().signal, () => true, (why) => words.push(why));
  await vi.advanceTimersByTimeAsync(120_000);
  await end;
  return words;
}

it("given a server that is away, when it is back, then it was told why what is shown was old, and that it is new again", async () => {
  const away = (): Response => {
    throw new TypeError("Failed to fetch");
  };
  expect(await told(away, () => problem(503, "Redis does not answer: try again."), () => new Response(END))).toEqual([
    "The server does not answer. Check the connection and try again.",
    "Redis does not answer: try again.",
    "",
  ]);
});

it("given a line that died without a word, when nothing is heard for long, then it is opened anew", async () => {
  expect(await told(quiet, () => new Response(END))).toEqual(["", "The server is not heard any more. Check the connection.", ""]);
});

it("given an answer that will not change, when followed, then it is an error", async () => {
  vi.stubGlobal("fetch", async () => problem(404, "There is no such render."));
  await expect(follow("/events", new AbortController().signal, () => true, () => undefined)).rejects.toThrow("There is no such render.");
});
