// The same drawing otherwise: another page or layout, or with layers that are switched off. Each is a render of its own.

import { renderAgain, type Render } from "../api";
import { tell } from "../dom";
import { address } from "../router";
import { EVERYTHING } from "./stack";

/** Ask for it and go there; where that fails, say why and answer false. */
export async function renderOtherwise(render: Render, options: Render["options"], signal: AbortSignal): Promise<boolean> {
  try {
    const job = await renderAgain(render, { ...options, tiles: false, layer_tiles: false, tile_layer: EVERYTHING }, signal);
    if (!signal.aborted) location.hash = address("drawing", job.id);
    return true;
  } catch (error) {
    if (!signal.aborted) tell((error as Error).message);
    return false;
  }
}
