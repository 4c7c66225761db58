// The bearer token: stored for the session of the tab, never in a URL.

import { h } from "./dom";
import { saveItem, loadItem } from "./storage";

const STORAGE_KEY = "bulkhead-token";
const CONFIRMED = "given"; // return value of the dialog unless it was cancelled

export function token(): string | null {
  return loadItem("sessionStorage", STORAGE_KEY);
}

/** Asks for a token. Resolves to true if the user entered one. */
export function signIn(detail: string): Promise<boolean> {
  const field = h("input", { id: "token", type: "password", autocomplete: "off", required: true });
  const form = h(
    "form",
    { method: "dialog" },
    h("h2", {}, "Sign in"),
    h("p", {}, detail),
    h("label", { for: "token" }, "Token"),
    field,
    h("button", { class: "primary", value: CONFIRMED }, "Sign in"),
  );
  const dialog = h("dialog", { class: "sign-in", "aria-label": "Sign in" }, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const entered = dialog.returnValue === CONFIRMED && field.value.trim();
      if (entered) saveItem("sessionStorage", STORAGE_KEY, entered);
      dialog.remove();
      resolve(!!entered);
    });
  });
}
