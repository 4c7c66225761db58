// Light or dark theme: follows the system unless the user chose one.

import { saveItem, loadItem } from "./storage";

const STORAGE_KEY = "bulkhead-theme";

type Theme = "light" | "dark";

function currentTheme(): Theme {
  const saved = loadItem("localStorage", STORAGE_KEY);
  if (saved === "light" || saved === "dark") return saved;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** Applies the theme and toggles it with the button. Dispatches `theme` events on window for pages that draw. */
export function installTheme(button: HTMLButtonElement): void {
  const apply = (): void => {
    document.documentElement.dataset.theme = currentTheme();
    button.textContent = currentTheme() === "dark" ? "☀" : "☾";
    button.title = currentTheme() === "dark" ? "Light theme" : "Dark theme";
    dispatchEvent(new Event("theme"));
  };
  button.addEventListener("click", () => {
    saveItem("localStorage", STORAGE_KEY, currentTheme() === "dark" ? "light" : "dark");
    apply();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
  apply();
}
