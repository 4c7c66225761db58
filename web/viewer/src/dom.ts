// Elements without a framework.

type Child = Node | string | null | undefined | false;
type Attributes = Record<string, string | number | boolean | null | undefined>;

/** An element with attributes and children; `true` stands for an empty attribute, `false` and null for none. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value != null) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child): child is Node | string => !!child));
  return element;
}

/** A button that does something; it is named by its text. */
export function button(text: string, act: (event: MouseEvent) => void, attributes: Attributes = {}): HTMLButtonElement {
  const made = h("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", act);
  return made;
}

/** Say something to those who do not see it change. */
export function say(text: string): void {
  document.getElementById("said")!.textContent = text;
}

const READ = 8_000; // milliseconds in which one reads a sentence
let reading = 0;

/** Tell everybody what would be seen nowhere else: that something could not be done, above all. */
export function tell(text: string): void {
  const notice = document.getElementById("told")!;
  notice.textContent = text;
  clearTimeout(reading);
  reading = window.setTimeout(() => notice.replaceChildren(), READ);
}

/** Tell everybody why what they see may be old; nothing, once it is new again. */
export function tellStale(why: string): void {
  const notice = document.getElementById("stale")!;
  const words = why && `${why} What you see may be old.`;
  if (notice.textContent !== words) notice.textContent = words;
  notice.hidden = !why;
}
