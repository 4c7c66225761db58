// What a page holds while it is shown, and how all of it is let go.
//
// A browser gives out some sixteen WebGL contexts and forgets the oldest one when another is asked for; a canvas keeps
// its pixels until nobody refers to it. So leaving a page must not wait for the garbage collector: every page gets a
// Scope, hands it whatever it opens, and the router ends the scope before the next page begins.

export type Release = () => void;

/** Things that end together, the last one first. */
export class Scope {
  readonly #releases: Release[] = [];
  readonly #abort = new AbortController();

  /** Aborted when the scope ends: for fetches and event streams. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get ended(): boolean {
    return this.#abort.signal.aborted;
  }

  /** Call `release` at the end; at once if that is over already. */
  defer(release: Release): void {
    if (this.ended) release();
    else this.#releases.push(release);
  }

  /** Keep something that has a way to end. */
  keep<T>(thing: T, release: (thing: T) => void): T {
    this.defer(() => release(thing));
    return thing;
  }

  listen<E extends Event = Event>(target: EventTarget, kind: string, hear: (event: E) => void, options: AddEventListenerOptions = {}): void {
    if (this.ended) return;
    target.addEventListener(kind, hear as EventListener, options);
    this.defer(() => target.removeEventListener(kind, hear as EventListener, options));
  }

  every(milliseconds: number, work: () => void): void {
    this.keep(setInterval(work, milliseconds), clearInterval);
  }

  after(milliseconds: number, work: () => void): void {
    this.keep(setTimeout(work, milliseconds), clearTimeout);
  }

  observe<T extends { disconnect(): void }>(observer: T): T {
    return this.keep(observer, (each) => each.disconnect());
  }

  /** A scope that ends with this one, or before. */
  inner(): Scope {
    return this.keep(new Scope(), (scope) => scope.end());
  }

  /** Release everything. One that fails does not keep the others. */
  end(): void {
    if (this.ended) return;
    this.#abort.abort();
    for (const release of this.#releases.splice(0).reverse()) {
      try {
        release();
      } catch (error) {
        console.error("A page could not let go of something:", error);
      }
    }
  }
}

/** Give back a canvas's WebGL context, if it has one, and its pixels. */
export function releaseCanvas(canvas: HTMLCanvasElement): void {
  canvas.remove();
  // A canvas has one kind of context for life, and says null when it is asked for another one.
  const gl = canvas.getContext("webgl2") ?? canvas.getContext("webgl");
  if (gl && !gl.isContextLost()) gl.getExtension("WEBGL_lose_context")?.loseContext();
  canvas.width = canvas.height = 0;
}

/** Release canvases that anybody takes out of `root`, libraries included, unless they are put back at once. */
export function watchCanvases(root: Node): MutationObserver {
  const observer = new MutationObserver((changes) => {
    for (const change of changes) {
      for (const node of change.removedNodes) {
        for (const canvas of canvasesOf(node)) if (!canvas.isConnected) releaseCanvas(canvas);
      }
    }
  });
  observer.observe(root, { childList: true, subtree: true });
  return observer;
}

function canvasesOf(node: Node): HTMLCanvasElement[] {
  if (node instanceof HTMLCanvasElement) return [node];
  return node instanceof Element ? [...node.querySelectorAll("canvas")] : [];
}
