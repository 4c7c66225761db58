// Who asks: a token that lives as long as the tab does, and never in an address.

import { h } from "./dom";
import { keep, kept } from "./kept";

const KEY = "bulkhead-token";
const GIVEN = "given"; // what the dialog says unless it was cancelled

export function token(): string | null {
  return kept("sessionStorage", KEY);
}

/** Ask for a token; true when one is given. */
export function signIn(detail: string): Promise<boolean> {
  const field = h("input", { id: "token", type: "password", autocomplete: "off", required: true });
  const form = h(
    "form",
    { method: "dialog" },
    h("h2", {}, "Who are you?"),
    h("p", {}, detail),
    h("label", { for: "token" }, "Token"),
    field,
    h("button", { class: "primary", value: GIVEN }, "Sign in"),
  );
  const dialog = h("dialog", { class: "sign-in", "aria-label": "Sign in" }, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const given = dialog.returnValue === GIVEN && field.value.trim();
      if (given) keep("sessionStorage", KEY, given);
      dialog.remove();
      resolve(!!given);
    });
  });
}
