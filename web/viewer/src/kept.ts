// What the browser keeps for us. Where it keeps nothing, as with cookies blocked or in some frames, this page remembers.

type Where = "localStorage" | "sessionStorage";

const remembered = new Map<string, string>();

export function kept(where: Where, key: string): string | null {
  try {
    return globalThis[where].getItem(key) ?? remembered.get(key) ?? null;
  } catch {
    return remembered.get(key) ?? null;
  }
}

export function keep(where: Where, key: string, value: string): void {
  try {
    globalThis[where].setItem(key, value);
  } catch {
    remembered.set(key, value);
  }
}
