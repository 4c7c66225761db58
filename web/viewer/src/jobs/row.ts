// A job in the list.

import { FINAL, type Progress, type Summary } from "../api";
import { button, h } from "../dom";
import { address } from "../router";
import { bytesWords, failureSentence, progressWords, stateWord } from "./words";

const THUMBNAIL_LEVEL = 8; // of a Deep Zoom pyramid: at most 256 pixels, one tile

export class Row {
  readonly element = h("li", { class: "job" });
  readonly #title = h("span", { class: "job-name" });
  readonly #picture = h("span", { class: "thumb", "aria-hidden": "true" });
  readonly #bar = h("progress", { max: 100, value: 0 });
  readonly #words = h("p", { class: "job-words" });
  readonly #state = h("span", { class: "badge" });
  readonly #meta = h("span", { class: "job-meta" });
  readonly #remove: HTMLButtonElement;
  job: Summary | null = null;

  constructor(name: string, remove: (row: Row) => void) {
    this.#title.textContent = name;
    this.#remove = button("✕", () => remove(this), { class: "quiet", "aria-label": `Remove ${name}` });
    this.#bar.setAttribute("aria-label", `Progress of ${name}`);
    const body = h("div", { class: "job-body" }, h("div", { class: "job-head" }, this.#title, this.#state, this.#meta), this.#bar, this.#words);
    this.element.append(this.#picture, body, this.#remove);
  }

  sending(percent: number): void {
    this.element.dataset.state = "sending";
    this.#state.textContent = "is sent";
    this.#remove.hidden = true;
    this.#progress(percent, `${Math.round(percent)} % sent`);
  }

  refused(detail: string): void {
    this.element.dataset.state = "failed";
    this.#state.textContent = "refused";
    this.#bar.hidden = true;
    this.#remove.hidden = false;
    this.#words.textContent = detail;
  }

  show(job: Summary): void {
    const before = this.job?.state;
    this.job = job;
    if (before === job.state) return; // what it does meanwhile, its progress tells
    if (!before) this.#title.replaceChildren(h("a", { href: address("drawing", job.id) }, job.filename || job.id));
    this.element.dataset.state = job.state;
    this.element.dataset.id = job.id;
    this.#state.textContent = stateWord(job.state);
    this.#remove.hidden = false;
    this.#bar.hidden = FINAL.includes(job.state);
    this.#words.textContent = failureSentence(job) ?? "";
    const when = new Date(job.created_at);
    this.#meta.replaceChildren(
      [bytesWords(job.size), when.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" })].filter(Boolean).join(" · "),
    );
    if (job.state === "succeeded") this.#finished(job);
  }

  progress(progress: Progress): void {
    this.#progress(progress.percent, progressWords(progress));
  }

  #progress(percent: number, words: string): void {
    this.#bar.hidden = false;
    this.#bar.value = percent;
    this.#words.textContent = words;
  }

  #finished(job: Summary): void {
    const preview = job.links.preview;
    if (!preview) return;
    const tile = job.links.tiles?.replace("/tiles.dzi", `/tiles_files/${THUMBNAIL_LEVEL}/0_0.webp`);
    const picture = h("img", { src: tile ?? preview, alt: "", loading: "lazy", decoding: "async" });
    if (tile) picture.addEventListener("error", () => (picture.src = preview), { once: true }); // too small for that level
    this.#picture.replaceChildren(picture);
  }
}
