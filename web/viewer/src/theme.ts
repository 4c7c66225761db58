// Light or dark: as the system has it, until somebody chooses.

import { keep, kept } from "./kept";

const KEY = "bulkhead-theme";

export type Theme = "light" | "dark";

export function theme(): Theme {
  const chosen = kept("localStorage", KEY);
  if (chosen === "light" || chosen === "dark") return chosen;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** Show the theme, and let the button change it. Pages that draw hear `theme` events at the window. */
export function installTheme(button: HTMLButtonElement): void {
  const show = (): void => {
    document.documentElement.dataset.theme = theme();
    button.textContent = theme() === "dark" ? "☀" : "☾";
    button.title = theme() === "dark" ? "Light" : "Dark";
    dispatchEvent(new Event("theme"));
  };
  button.addEventListener("click", () => {
    keep("localStorage", KEY, theme() === "dark" ? "light" : "dark");
    show();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  show();
}
