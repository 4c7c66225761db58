// Pictures of drawings in the administration, wherever WordPress shows one: while there is none yet, a progress bar
// stands in for it, and if there will be none, the reason does.
(() => {
  "use strict";
  const PREVIEW = /[?&]action=bulkhead_preview&(?:amp;)?drawing=(\d+)/;
  const FINAL = ["failed", "dead", "cancelled", "gone"];
  const LOOK_AGAIN = 1000; // milliseconds

  const pause = () => new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN));

  async function watch(picture, drawing) {
    const address = picture.src;
    const bar = Object.assign(document.createElement("progress"), { max: 100 });
    const words = Object.assign(document.createElement("span"), { className: "bulkhead-words" });
    words.setAttribute("role", "status");
    picture.hidden = true;
    picture.after(bar, words);
    for (; picture.isConnected; await pause()) {
      let now;
      try {
        now = await wp.apiFetch({ path: `/bulkhead/v1/drawings/${drawing}` });
      } catch (error) {
        words.textContent = error.message;
        continue;
      }
      bar.value = now.percent;
      words.textContent = now.stage || now.state;
      if (now.state === "succeeded") {
        bar.remove();
        words.remove();
        picture.hidden = false;
        picture.src = `${address}&made=1`; // another address, or the browser remembers that there was nothing
        return;
      }
      if (FINAL.includes(now.state)) {
        bar.remove();
        words.textContent = now.error || `The drawing was ${now.state}.`;
        return;
      }
    }
  }

  function missing(picture) {
    const found = picture instanceof HTMLImageElement && PREVIEW.exec(picture.src);
    if (!found || picture.dataset.bulkhead) return;
    picture.dataset.bulkhead = "watched";
    void watch(picture, found[1]);
  }

  document.addEventListener("error", (event) => missing(event.target), true);
  for (const picture of document.images) if (picture.complete && !picture.naturalWidth) missing(picture);
})();
