// Previews of drawings in the administration pages: until a preview is available, shows a progress bar in its place; if
// the render fails, shows the reason.
(() => {
  "use strict";
  const PREVIEW = /[?&]action=bulkhead_preview&(?:amp;)?drawing=(\d+)/;
  const FINAL = ["failed", "dead", "cancelled", "gone"];
  const POLL_INTERVAL = 1000; // milliseconds

  const pause = () => new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL));

  async function showProgress(image, drawing) {
    const url = image.src;
    const bar = Object.assign(document.createElement("progress"), { max: 100 });
    const text = Object.assign(document.createElement("span"), { className: "bulkhead-progress" });
    text.setAttribute("role", "status");
    image.hidden = true;
    image.after(bar, text);
    for (; image.isConnected; await pause()) {
      let status;
      try {
        status = await wp.apiFetch({ path: `/bulkhead/v1/drawings/${drawing}` });
      } catch (error) {
        text.textContent = error.message;
        continue;
      }
      bar.value = status.percent;
      text.textContent = status.stage || status.state;
      if (status.state === "succeeded") {
        bar.remove();
        text.remove();
        image.hidden = false;
        image.src = `${url}&ready=1`; // a different URL, because the browser caches the failure
        return;
      }
      if (FINAL.includes(status.state)) {
        bar.remove();
        text.textContent = status.error || `The drawing was ${status.state}.`;
        return;
      }
    }
  }

  function onError(image) {
    const match = image instanceof HTMLImageElement && PREVIEW.exec(image.src);
    if (!match || image.dataset.bulkhead) return;
    image.dataset.bulkhead = "handled";
    void showProgress(image, match[1]);
  }

  document.addEventListener("error", (event) => onError(event.target), true);
  for (const image of document.images) if (image.complete && !image.naturalWidth) onError(image);
})();
