// Who asks: a token that lives as long as the tab does, and never in an address.

import { h } from "./dom";

const KEY = "bulkhead-token";

export function token(): string | null {
  return sessionStorage.getItem(KEY);
}

/** Ask for a token until one is given; true when there is a new one. */
export function signIn(detail: string): Promise<boolean> {
  const field = h("input", { id: "token", type: "password", autocomplete: "off", required: true });
  const form = h(
    "form",
    { method: "dialog" },
    h("h2", {}, "Who are you?"),
    h("p", {}, detail),
    h("label", { for: "token" }, "Token"),
    field,
    h("button", { class: "primary" }, "Sign in"),
  );
  const dialog = h("dialog", { class: "sign-in", "aria-label": "Sign in" }, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      if (field.value) sessionStorage.setItem(KEY, field.value.trim());
      dialog.remove();
      resolve(field.value !== "");
    });
  });
}
