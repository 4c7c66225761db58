// Helpers to create elements and to show messages.

type Child = Node | string | null | undefined | false;
type Attributes = Record<string, string | number | boolean | null | undefined>;

/** Creates an element. `true` sets an empty attribute; `false` and null set none. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value != null) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child): child is Node | string => !!child));
  return element;
}

/** Creates a button; its text is its accessible name. */
export function button(text: string, onClick: (event: MouseEvent) => void, attributes: Attributes = {}): HTMLButtonElement {
  const element = h("button", { type: "button", ...attributes }, text);
  element.addEventListener("click", onClick);
  return element;
}

/** Announces a change to users of screen readers. */
export function announce(text: string): void {
  document.getElementById("announcer")!.textContent = text;
}

const NOTIFICATION_TIME = 8_000; // milliseconds: enough to read a sentence
let notificationTimer = 0;

/** Shows a message for a few seconds, such as the failure of an action. */
export function notify(text: string): void {
  const notification = document.getElementById("notification")!;
  notification.textContent = text;
  clearTimeout(notificationTimer);
  notificationTimer = window.setTimeout(() => notification.replaceChildren(), NOTIFICATION_TIME);
}

/** Shows why the data may be out of date; an empty reason hides the notice. */
export function showStaleNotice(reason: string): void {
  const notice = document.getElementById("stale-notice")!;
  const text = reason && `${reason} The data shown may be out of date.`;
  if (notice.textContent !== text) notice.textContent = text;
  notice.hidden = !reason;
}
