// A row of the job list.

import { FINAL, type Progress, type Summary } from "../api";
import { button, h } from "../dom";
import { formatRoute } from "../router";
import { formatBytes, failureMessage, formatProgress, stateLabel } from "./text";

const THUMBNAIL_LEVEL = 8; // Deep Zoom level of at most 256 pixels, a single tile

export class JobRow {
  readonly element = h("li", { class: "job" });
  readonly #title = h("span", { class: "job-name" });
  readonly #thumbnail = h("span", { class: "thumb", "aria-hidden": "true" });
  readonly #bar = h("progress", { max: 100, value: 0 });
  readonly #text = h("p", { class: "job-text" });
  readonly #state = h("span", { class: "badge" });
  readonly #meta = h("span", { class: "job-meta" });
  readonly #remove: HTMLButtonElement;
  job: Summary | null = null;

  constructor(name: string, remove: (row: JobRow) => void) {
    this.#title.textContent = name;
    this.#remove = button("✕", () => remove(this), { class: "quiet", "aria-label": `Delete ${name}` });
    this.#bar.setAttribute("aria-label", `Progress of ${name}`);
    const body = h("div", { class: "job-body" }, h("div", { class: "job-head" }, this.#title, this.#state, this.#meta), this.#bar, this.#text);
    this.element.append(this.#thumbnail, body, this.#remove);
  }

  showUpload(percent: number): void {
    this.element.dataset.state = "uploading";
    this.#state.textContent = "Uploading";
    this.#remove.hidden = true;
    this.#setProgress(percent, `${Math.round(percent)} % uploaded`);
  }

  showRejection(detail: string): void {
    this.element.dataset.state = "failed";
    this.#state.textContent = "Not uploaded";
    this.#bar.hidden = true;
    this.#remove.hidden = false;
    this.#text.textContent = detail;
  }

  show(job: Summary): void {
    const before = this.job?.state;
    this.job = job;
    if (before === job.state) return; // progress is shown separately
    if (!before) this.#title.replaceChildren(h("a", { href: formatRoute("drawing", job.id) }, job.filename || job.id));
    this.element.dataset.state = job.state;
    this.element.dataset.id = job.id;
    this.#state.textContent = stateLabel(job.state);
    this.#remove.hidden = false;
    const isFinal = FINAL.includes(job.state);
    this.#remove.setAttribute("aria-label", `${isFinal ? "Delete" : "Cancel"} ${job.filename || job.id}`);
    this.#bar.hidden = isFinal;
    this.#text.textContent = failureMessage(job) ?? "";
    const when = new Date(job.created_at);
    this.#meta.replaceChildren(
      [formatBytes(job.size), when.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" })].filter(Boolean).join(" · "),
    );
    if (job.state === "succeeded") this.#showThumbnail(job);
  }

  showProgress(progress: Progress): void {
    this.#setProgress(progress.percent, formatProgress(progress));
  }

  #setProgress(percent: number, text: string): void {
    this.#bar.hidden = false;
    this.#bar.value = percent;
    this.#text.textContent = text;
  }

  #showThumbnail(job: Summary): void {
    const preview = job.links.preview;
    if (!preview) return;
    const tile = job.links.tiles?.replace("/tiles.dzi", `/tiles_files/${THUMBNAIL_LEVEL}/0_0.webp`);
    const image = h("img", { src: tile ?? preview, alt: "", loading: "lazy", decoding: "async" });
    if (tile) image.addEventListener("error", () => (image.src = preview), { once: true }); // the pyramid lacks that level
    this.#thumbnail.replaceChildren(image);
  }
}
