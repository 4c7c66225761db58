// Web storage with a fallback to memory, for browsers that block it (blocked cookies, some frames).

type Area = "localStorage" | "sessionStorage";

const memory = new Map<string, string>();

export function loadItem(area: Area, key: string): string | null {
  try {
    return globalThis[area].getItem(key) ?? memory.get(key) ?? null;
  } catch {
    return memory.get(key) ?? null;
  }
}

export function saveItem(area: Area, key: string, value: string): void {
  try {
    globalThis[area].setItem(key, value);
  } catch {
    memory.set(key, value);
  }
}
