// Jobs: drop a drawing, watch it, find it again.

import { ask, FINAL, Problem, read, type Progress, type Render, type RenderPage, type State, type Summary } from "../api";
import { button, h, say, tell, tellStale } from "../dom";
import { follow } from "../events";
import type { Page } from "../main";
import { address, parse } from "../router";
import type { Scope } from "../teardown";
import { Row } from "./row";
import { upload } from "./upload";
import { failureSentence, stateWord } from "./words";

const PAGE = 24;
const STREAMS = 3; // event streams at once: over HTTP/1.1 a browser opens six connections in all
const LOOK = 5_000; // milliseconds between two looks at the jobs that have no stream
const STATES: readonly State[] = ["accepted", "queued", "running", ...FINAL];
const TYPING = 250; // milliseconds without a key until a search begins

export const jobsPage: Page = async (main, route, scope) => {
  const page = new Jobs(main, scope, route.query.get("q") ?? "", route.query.get("state") ?? "");
  await page.load();
};

class Jobs {
  readonly #rows = new Map<string, Row>();
  readonly #list = h("ul", { class: "jobs", "aria-label": "Jobs" });
  readonly #more = button("Older jobs", () => void this.#older(), { hidden: true });
  readonly #empty = h("p", { class: "empty", hidden: true });
  readonly #watched = new Set<string>();
  #next: string | null = null;
  #asked = 0;

  constructor(
    main: HTMLElement,
    readonly scope: Scope,
    private search: string,
    private state: string,
  ) {
    const input = h("input", { type: "file", multiple: true, class: "visually-hidden", id: "file", accept: ".dxf,.dwg,.svg,.pdf,.png,.jpg,.jpeg,.tif,.tiff,.webp" });
    input.addEventListener("change", () => {
      void this.#send([...(input.files ?? [])]);
      input.value = ""; // or a browser takes no notice when the same file is chosen again
    });
    const drop = h("label", { class: "drop", for: "file" }, h("strong", {}, "Drop a drawing here"), h("span", {}, "or choose one: DXF, SVG, PDF, TIFF, PNG, JPEG, WebP"));
    const find = h("input", { type: "search", id: "find", placeholder: "File name or id", value: search });
    const states = h("select", { id: "state" }, h("option", { value: "" }, "All"));
    for (const each of STATES) states.append(h("option", { value: each, selected: each === state }, stateWord(each)));
    const filters = h("div", { class: "filters" }, h("label", {}, "Find", find), h("label", {}, "State", states));
    main.append(h("h1", {}, "Jobs"), input, drop, filters, this.#list, this.#empty, this.#more);

    let typing = 0;
    scope.listen(find, "input", () => {
      clearTimeout(typing);
      typing = window.setTimeout(() => this.#filter(find.value, this.state), TYPING);
    });
    scope.defer(() => clearTimeout(typing));
    scope.listen(states, "change", () => this.#filter(this.search, states.value));
    scope.listen(window, "hashchange", () => {
      const { query } = parse(location.hash);
      find.value = query.get("q") ?? "";
      states.value = query.get("state") ?? "";
      this.#filter(find.value, states.value);
    });
    this.#takeDrops(drop);
    scope.every(LOOK, () => document.hidden || void this.#refresh());
  }

  /** The first page of what is asked for, in place of all rows. */
  async load(): Promise<void> {
    const asked = ++this.#asked;
    const page = await read<RenderPage>(this.#query(), this.scope.signal);
    if (asked !== this.#asked) return; // somebody typed on
    this.#list.replaceChildren();
    this.#rows.clear();
    this.#add(page);
  }

  async #older(): Promise<void> {
    if (!this.#next) return;
    try {
      this.#add(await read<RenderPage>(this.#next, this.scope.signal));
    } catch (error) {
      this.#failed(error);
    }
  }

  #add(page: RenderPage): void {
    for (const job of page.renders) this.#list.append(this.#rowOf(job).element);
    this.#next = page.next;
    this.#more.hidden = page.next === null;
    this.#empty.hidden = this.#rows.size > 0;
    this.#empty.textContent = this.search || this.state ? "No job is like that. Clear the search to see all." : "Nothing was rendered yet. Drop a drawing to begin.";
    this.#watch();
  }

  /** What is new or changed since, without touching what somebody looks at. */
  async #refresh(): Promise<void> {
    const asked = this.#asked;
    let page: RenderPage;
    try {
      page = await read<RenderPage>(this.#query(), this.scope.signal);
    } catch (error) {
      return this.scope.ended ? undefined : tellStale((error as Error).message);
    }
    tellStale("");
    if (asked !== this.#asked) return; // somebody asked for others meanwhile
    let above: Element | null = null;
    for (const job of page.renders) {
      const known = this.#rows.has(job.id);
      const { element } = this.#rowOf(job);
      if (!known && above) above.after(element);
      else if (!known) this.#list.prepend(element);
      above = element;
    }
    this.#empty.hidden = this.#rows.size > 0;
    this.#watch();
  }

  #rowOf(job: Summary): Row {
    const row = this.#rows.get(job.id) ?? new Row(job.filename || job.id, (each) => void this.#remove(each));
    this.#rows.set(job.id, row);
    row.show(job);
    return row;
  }

  #query(): string {
    const query = new URLSearchParams({ limit: String(PAGE), parts: "false" });
    if (this.search) query.set("q", this.search);
    if (this.state) query.set("state", this.state);
    return `/renders?${query}`;
  }

  #filter(search: string, state: string): void {
    [this.search, this.state] = [search, state];
    const query = new URLSearchParams(Object.entries({ q: search, state }).filter(([, value]) => value));
    history.replaceState(null, "", address("jobs", "", query.toString()));
    void this.load().catch((error: unknown) => this.#failed(error));
  }

  #failed(error: unknown): void {
    if (!this.scope.ended) tell((error as Error).message);
  }

  #takeDrops(drop: HTMLElement): void {
    this.scope.listen<DragEvent>(window, "dragover", (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
    this.scope.listen(window, "dragleave", () => drop.classList.remove("over"));
    this.scope.listen<DragEvent>(window, "drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      this.#send([...(event.dataTransfer?.files ?? [])]);
    });
  }

  /** One after the other: together they would only share the line. */
  async #send(files: File[]): Promise<void> {
    const rows = files.map((file) => [file, new Row(file.name, (each) => each.element.remove())] as const);
    for (const [, row] of [...rows].reverse()) {
      row.sending(0);
      this.#list.prepend(row.element);
    }
    for (const [file, row] of rows) await this.#sendOne(file, row);
  }

  async #sendOne(file: File, row: Row): Promise<void> {
    try {
      const accepted = await upload(file, (percent) => row.sending(percent));
      const job = await read<Summary>(accepted.links.self!, this.scope.signal);
      row.element.replaceWith(this.#rowOf(job).element);
      this.#empty.hidden = true;
      this.#watch();
    } catch (error) {
      if (error instanceof Problem) {
        row.refused(error.message);
        if (this.scope.ended) tell(error.message);
        else say(error.message);
      }
    }
  }

  /** Open streams for jobs that are under way, the newest first. */
  #watch(): void {
    for (const [id, row] of this.#rows) {
      if (this.#watched.size >= STREAMS) return;
      if (row.job && !FINAL.includes(row.job.state) && !this.#watched.has(id)) void this.#watchOne(id);
    }
  }

  async #watchOne(id: string): Promise<void> {
    this.#watched.add(id);
    try {
      await follow(`/renders/${id}/events`, this.scope.signal, ({ name, data }) => {
        const row = this.#rows.get(id);
        if (!row) return true;
        if (name === "progress") row.progress(JSON.parse(data) as Progress);
        if (name !== "render") return false;
        const render = JSON.parse(data) as Render;
        row.show(render);
        if (!FINAL.includes(render.state)) row.progress(render.progress);
        else say(`${render.filename}: ${failureSentence(render) ?? "done"}`);
        return FINAL.includes(render.state);
      });
    } catch {
      this.#rows.get(id)?.element.remove(); // it is gone, or not ours any more
      this.#rows.delete(id);
    } finally {
      this.#watched.delete(id);
      if (!this.scope.ended) this.#watch();
    }
  }

  async #remove(row: Row): Promise<void> {
    if (!row.job) return row.element.remove();
    const open = !FINAL.includes(row.job.state);
    if (!open && !confirm(`Remove ${row.job.filename} with its outputs?`)) return;
    try {
      await ask(`/renders/${row.job.id}`, { method: "DELETE", signal: this.scope.signal });
      if (open) return void this.#refresh();
      this.#rows.delete(row.job.id);
      row.element.remove();
    } catch (error) {
      this.#failed(error);
    }
  }
}
