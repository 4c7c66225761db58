// The jobs page: uploads drawings, shows their progress, and lists and searches jobs.

import { request, FINAL, Problem, getJson, type Progress, type Render, type RenderPage, type State, type Summary } from "../api";
import { button, h, announce, notify, showStaleNotice } from "../dom";
import { followEvents } from "../events";
import type { Page } from "../main";
import { formatRoute, parseRoute } from "../router";
import type { Scope } from "../teardown";
import { JobRow } from "./job-row";
import { upload } from "./upload";
import { failureMessage, stateLabel } from "./text";

const PAGE_SIZE = 24;
const MAX_STREAMS = 3; // concurrent event streams; browsers open six connections over HTTP/1.1
const POLL_INTERVAL = 5_000; // milliseconds; for jobs without an event stream
const STATES: readonly State[] = ["accepted", "queued", "running", ...FINAL];
const SEARCH_DELAY = 250; // milliseconds after the last key press

export const jobsPage: Page = async (main, route, scope) => {
  const page = new JobsPage(main, scope, route.query.get("q") ?? "", route.query.get("state") ?? "");
  await page.load();
};

class JobsPage {
  readonly #rows = new Map<string, JobRow>();
  readonly #list = h("ul", { class: "jobs", "aria-label": "Jobs" });
  readonly #more = button("Older jobs", () => void this.#loadOlder(), { hidden: true });
  readonly #empty = h("p", { class: "empty", hidden: true });
  readonly #followed = new Set<string>();
  #next: string | null = null;
  #requestNumber = 0;

  constructor(
    main: HTMLElement,
    readonly scope: Scope,
    private search: string,
    private state: string,
  ) {
    const input = h("input", { type: "file", multiple: true, class: "visually-hidden", id: "file", accept: ".dxf,.dwg,.svg,.pdf,.png,.jpg,.jpeg,.tif,.tiff,.webp" });
    input.addEventListener("change", () => {
      void this.#uploadAll([...(input.files ?? [])]);
      input.value = ""; // else selecting the same file again triggers no event
    });
    const drop = h("label", { class: "drop-zone", for: "file" }, h("strong", {}, "Drop drawings here"), h("span", {}, "or select files: DXF, SVG, PDF, TIFF, PNG, JPEG, WebP"));
    const find = h("input", { type: "search", id: "find", placeholder: "File name or id", value: search });
    const states = h("select", { id: "state" }, h("option", { value: "" }, "All"));
    for (const each of STATES) states.append(h("option", { value: each, selected: each === state }, stateLabel(each)));
    const filters = h("div", { class: "filters" }, h("label", {}, "Search", find), h("label", {}, "State", states));
    main.append(h("h1", {}, "Jobs"), input, drop, filters, this.#list, this.#empty, this.#more);

    let searchTimer = 0;
    scope.listen(find, "input", () => {
      clearTimeout(searchTimer);
      searchTimer = window.setTimeout(() => this.#filter(find.value, this.state), SEARCH_DELAY);
    });
    scope.defer(() => clearTimeout(searchTimer));
    scope.listen(states, "change", () => this.#filter(this.search, states.value));
    scope.listen(window, "hashchange", () => {
      const { query } = parseRoute(location.hash);
      find.value = query.get("q") ?? "";
      states.value = query.get("state") ?? "";
      this.#filter(find.value, states.value);
    });
    this.#acceptDrops(drop);
    scope.every(POLL_INTERVAL, () => document.hidden || void this.#refresh());
  }

  /** Replaces all rows by the first page of results. */
  async load(): Promise<void> {
    const requestNumber = ++this.#requestNumber;
    const page = await getJson<RenderPage>(this.#query(), this.scope.signal);
    if (requestNumber !== this.#requestNumber) return; // a newer request was sent
    this.#list.replaceChildren();
    this.#rows.clear();
    this.#add(page);
  }

  async #loadOlder(): Promise<void> {
    if (!this.#next) return;
    try {
      this.#add(await getJson<RenderPage>(this.#next, this.scope.signal));
    } catch (error) {
      this.#showError(error);
    }
  }

  #add(page: RenderPage): void {
    for (const job of page.renders) this.#list.append(this.#updateRow(job).element);
    this.#next = page.next;
    this.#more.hidden = page.next === null;
    this.#empty.hidden = this.#rows.size > 0;
    this.#empty.textContent = this.search || this.state ? "No jobs match the search. Clear it to see all jobs." : "No jobs yet. Drop a drawing to start.";
    this.#followActive();
  }

  /** Updates and adds rows without rebuilding the list. */
  async #refresh(): Promise<void> {
    const requestNumber = this.#requestNumber;
    let page: RenderPage;
    try {
      page = await getJson<RenderPage>(this.#query(), this.scope.signal);
    } catch (error) {
      return this.scope.ended ? undefined : showStaleNotice((error as Error).message);
    }
    showStaleNotice("");
    if (requestNumber !== this.#requestNumber) return; // a newer request was sent
    let previous: Element | null = null;
    for (const job of page.renders) {
      const known = this.#rows.has(job.id);
      const { element } = this.#updateRow(job);
      if (!known && previous) previous.after(element);
      else if (!known) this.#list.prepend(element);
      previous = element;
    }
    this.#empty.hidden = this.#rows.size > 0;
    this.#followActive();
  }

  #updateRow(job: Summary): JobRow {
    const row = this.#rows.get(job.id) ?? new JobRow(job.filename || job.id, (each) => void this.#remove(each));
    this.#rows.set(job.id, row);
    row.show(job);
    return row;
  }

  #query(): string {
    const query = new URLSearchParams({ limit: String(PAGE_SIZE), include_tile_jobs: "false" });
    if (this.search) query.set("q", this.search);
    if (this.state) query.set("state", this.state);
    return `/renders?${query}`;
  }

  #filter(search: string, state: string): void {
    [this.search, this.state] = [search, state];
    const query = new URLSearchParams(Object.entries({ q: search, state }).filter(([, value]) => value));
    history.replaceState(null, "", formatRoute("jobs", "", query.toString()));
    void this.load().catch((error: unknown) => this.#showError(error));
  }

  #showError(error: unknown): void {
    if (!this.scope.ended) notify((error as Error).message);
  }

  #acceptDrops(drop: HTMLElement): void {
    this.scope.listen<DragEvent>(window, "dragover", (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
    this.scope.listen(window, "dragleave", () => drop.classList.remove("over"));
    this.scope.listen<DragEvent>(window, "drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      this.#uploadAll([...(event.dataTransfer?.files ?? [])]);
    });
  }

  /** Uploads files one after the other, because parallel uploads would share the bandwidth. */
  async #uploadAll(files: File[]): Promise<void> {
    const rows = files.map((file) => [file, new JobRow(file.name, (each) => each.element.remove())] as const);
    for (const [, row] of [...rows].reverse()) {
      row.showUpload(0);
      this.#list.prepend(row.element);
    }
    for (const [file, row] of rows) await this.#upload(file, row);
  }

  async #upload(file: File, row: JobRow): Promise<void> {
    try {
      const accepted = await upload(file, (percent) => row.showUpload(percent));
      const job = await getJson<Summary>(accepted.links.self!, this.scope.signal);
      row.element.replaceWith(this.#updateRow(job).element);
      this.#empty.hidden = true;
      this.#followActive();
    } catch (error) {
      if (error instanceof Problem) {
        row.showRejection(error.message);
        if (this.scope.ended) notify(error.message);
        else announce(error.message);
      }
    }
  }

  /** Opens event streams for active jobs, newest first. */
  #followActive(): void {
    for (const [id, row] of this.#rows) {
      if (this.#followed.size >= MAX_STREAMS) return;
      if (row.job && !FINAL.includes(row.job.state) && !this.#followed.has(id)) void this.#follow(id);
    }
  }

  async #follow(id: string): Promise<void> {
    this.#followed.add(id);
    try {
      await followEvents(`/renders/${id}/events`, this.scope.signal, ({ name, data }) => {
        const row = this.#rows.get(id);
        if (!row) return true;
        if (name === "progress") row.showProgress(JSON.parse(data) as Progress);
        if (name !== "render") return false;
        const render = JSON.parse(data) as Render;
        row.show(render);
        if (!FINAL.includes(render.state)) row.showProgress(render.progress);
        else announce(`${render.filename}: ${failureMessage(render) ?? "done"}`);
        return FINAL.includes(render.state);
      });
    } catch {
      this.#rows.get(id)?.element.remove(); // deleted, or no longer accessible
      this.#rows.delete(id);
    } finally {
      this.#followed.delete(id);
      if (!this.scope.ended) this.#followActive();
    }
  }

  async #remove(row: JobRow): Promise<void> {
    if (!row.job) return row.element.remove();
    const isActive = !FINAL.includes(row.job.state);
    if (!isActive && !confirm(`Delete ${row.job.filename} and its outputs?`)) return;
    try {
      await request(`/renders/${row.job.id}`, { method: "DELETE", signal: this.scope.signal });
      if (isActive) return void this.#refresh();
      this.#rows.delete(row.job.id);
      row.element.remove();
    } catch (error) {
      this.#showError(error);
    }
  }
}
