// Renders the drawing again with other options: another page, another layout, or additional layers.

import { requestRender, type Render } from "../api";
import { notify } from "../dom";
import { formatRoute } from "../router";
import { WHOLE_DRAWING } from "./image-stack";

/** Requests the render and opens it. Shows the error and returns false if that fails. */
export async function rerender(render: Render, options: Render["options"], signal: AbortSignal): Promise<boolean> {
  try {
    const job = await requestRender(render, { ...options, tiles: false, layer_tiles: false, tile_layer: WHOLE_DRAWING }, signal);
    if (!signal.aborted) location.hash = formatRoute("drawing", job.id);
    return true;
  } catch (error) {
    if (!signal.aborted) notify((error as Error).message);
    return false;
  }
}
