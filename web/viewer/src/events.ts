// Server-sent events over fetch: EventSource can send no token.

import { ask, Problem } from "./api";
import { tellStale } from "./dom";

export interface ServerEvent {
  name: string;
  data: string;
}

const PAUSE = 2_000; // milliseconds before a broken stream is opened again
const SILENCE = 40_000; // milliseconds: the server gives a sign of life every 15 s, so a line this quiet is dead

/** Cuts text that comes in pieces into events. Comments, ids and anything else are left out. */
export class EventParser {
  #rest = "";

  push(piece: string): ServerEvent[] {
    const blocks = (this.#rest + piece).split("\n\n");
    this.#rest = blocks.pop() ?? "";
    return blocks.map(parsed).filter((event) => event.data !== "");
  }
}

function parsed(block: string): ServerEvent {
  const event = { name: "message", data: "" };
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) event.name = line.slice(7);
    if (line.startsWith("data: ")) event.data += line.slice(6);
  }
  return event;
}

type Hear = (event: ServerEvent) => boolean | void;

/**
 * Hear events until `signal` aborts or `hear` says true; a stream that breaks is opened again, and while it cannot be,
 * `stale` is told why. Throws Problem.
 */
export async function follow(path: string, signal: AbortSignal, hear: Hear, stale: (why: string) => void = tellStale): Promise<void> {
  while (!signal.aborted) {
    try {
      if (await once(path, signal, hear, stale)) return;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem) {
        if (error.status !== 0 && error.status < 500) throw error;
        stale(error.message);
      }
    }
    await pause(PAUSE, signal);
  }
}

async function once(path: string, signal: AbortSignal, hear: Hear, stale: (why: string) => void): Promise<boolean> {
  const answer = await ask(path, { signal, headers: { accept: "text/event-stream" } });
  stale("");
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  const parser = new EventParser();
  for (;;) {
    const { done, value } = await inTime(reader);
    if (done) return false;
    for (const event of parser.push(value)) {
      if (hear(event)) {
        await reader.cancel();
        return true;
      }
    }
  }
}

/** The next piece. A line that has died without a word is given up; throws Problem. */
async function inTime(reader: ReadableStreamDefaultReader<string>): Promise<ReadableStreamReadResult<string>> {
  let dead = false;
  const timer = setTimeout(() => {
    dead = true;
    void reader.cancel();
  }, SILENCE);
  try {
    const piece = await reader.read();
    if (dead) throw new Problem(0, "silent", "The server is not heard any more. Check the connection.");
    return piece;
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves after so long, or at once when `signal` aborts. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", done);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
  });
}
