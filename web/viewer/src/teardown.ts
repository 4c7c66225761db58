// Releases the resources of a page when the user leaves it.
//
// A browser allows about 16 WebGL contexts and drops the oldest one beyond that; a canvas holds its pixels until it is
// collected. Resources are therefore released explicitly: each page registers them with its Scope, which the router ends
// before the next page starts.

type Release = () => void;

/** A set of resources that are released together, in reverse order. */
export class Scope {
  readonly #releases: Release[] = [];
  readonly #abort = new AbortController();

  /** Aborts when the scope ends; pass it to fetch and event streams. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get ended(): boolean {
    return this.#abort.signal.aborted;
  }

  /** Calls `release` when the scope ends; immediately if it has ended. */
  defer(release: Release): void {
    if (this.ended) release();
    else this.#releases.push(release);
  }

  /** Registers a resource and returns it. */
  own<T>(resource: T, release: (thing: T) => void): T {
    this.defer(() => release(resource));
    return resource;
  }

  listen<E extends Event = Event>(target: EventTarget, type: string, listener: (event: E) => void, options: AddEventListenerOptions = {}): void {
    if (this.ended) return;
    target.addEventListener(type, listener as EventListener, options);
    this.defer(() => target.removeEventListener(type, listener as EventListener, options));
  }

  every(milliseconds: number, callback: () => void): void {
    this.own(setInterval(callback, milliseconds), clearInterval);
  }

  after(milliseconds: number, callback: () => void): void {
    this.own(setTimeout(callback, milliseconds), clearTimeout);
  }

  observe<T extends { disconnect(): void }>(observer: T): T {
    return this.own(observer, (each) => each.disconnect());
  }

  /** Creates a scope that ends with this one or earlier. */
  child(): Scope {
    return this.own(new Scope(), (scope) => scope.end());
  }

  /** Releases all resources, even if a release fails. */
  end(): void {
    if (this.ended) return;
    this.#abort.abort();
    for (const release of this.#releases.splice(0).reverse()) {
      try {
        release();
      } catch (error) {
        console.error("Failed to release a resource of the page:", error);
      }
    }
  }
}

/** Releases the WebGL context and the pixels of a canvas. */
export function releaseCanvas(canvas: HTMLCanvasElement): void {
  canvas.remove();
  // A canvas supports one type of context; getContext returns null for any other type.
  const gl = canvas.getContext("webgl2") ?? canvas.getContext("webgl");
  if (gl && !gl.isContextLost()) gl.getExtension("WEBGL_lose_context")?.loseContext();
  canvas.width = canvas.height = 0;
}

/** Releases canvases removed from `root`, also by libraries, unless they are reinserted immediately. */
export function watchCanvases(root: Node): MutationObserver {
  const observer = new MutationObserver((mutations) => {
    for (const mutation of mutations) {
      for (const node of mutation.removedNodes) {
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
