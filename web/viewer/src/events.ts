// Server-sent events over fetch, because EventSource cannot send a bearer token.

import { request, Problem } from "./api";
import { showStaleNotice } from "./dom";

export interface ServerEvent {
  name: string;
  data: string;
}

const RECONNECT_DELAY = 2_000; // milliseconds
const IDLE_TIMEOUT = 40_000; // milliseconds; the server sends a comment every 15 s

/** Parses a chunked stream into events. Ignores comments and ids. */
export class EventParser {
  #buffer = "";

  push(chunk: string): ServerEvent[] {
    const blocks = (this.#buffer + chunk).split("\n\n");
    this.#buffer = blocks.pop() ?? "";
    return blocks.map(parseBlock).filter((event) => event.data !== "");
  }
}

function parseBlock(block: string): ServerEvent {
  const event = { name: "message", data: "" };
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) event.name = line.slice(7);
    if (line.startsWith("data: ")) event.data += line.slice(6);
  }
  return event;
}

type Listener = (event: ServerEvent) => boolean | void;

/**
 * Calls `listener` for each event until `signal` aborts or the listener returns true. Reconnects a broken stream; until
 * that succeeds, `onStale` receives the reason. Throws Problem for client errors.
 */
export async function followEvents(path: string, signal: AbortSignal, listener: Listener, onStale: (reason: string) => void = showStaleNotice): Promise<void> {
  while (!signal.aborted) {
    try {
      if (await readStream(path, signal, listener, onStale)) return;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem) {
        if (error.status !== 0 && error.status < 500) throw error;
        onStale(error.message);
      }
    }
    await sleep(RECONNECT_DELAY, signal);
  }
}

async function readStream(path: string, signal: AbortSignal, listener: Listener, onStale: (reason: string) => void): Promise<boolean> {
  const response = await request(path, { signal, headers: { accept: "text/event-stream" } });
  onStale("");
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const parser = new EventParser();
  for (;;) {
    const { done, value } = await readWithTimeout(reader);
    if (done) return false;
    for (const event of parser.push(value)) {
      if (listener(event)) {
        await reader.cancel();
        return true;
      }
    }
  }
}

/** Reads the next chunk. Throws Problem if nothing arrives within IDLE_TIMEOUT. */
async function readWithTimeout(reader: ReadableStreamDefaultReader<string>): Promise<ReadableStreamReadResult<string>> {
  let isIdle = false;
  const timer = setTimeout(() => {
    isIdle = true;
    void reader.cancel();
  }, IDLE_TIMEOUT);
  try {
    const chunk = await reader.read();
    if (isIdle) throw new Problem(0, "silent", "The connection to the server was lost. Check the network.");
    return chunk;
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves after a delay, or immediately when `signal` aborts. */
export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
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
