// What a machine looks like. Height says the same as colour, for those who see no colours.

import type { Sensor } from "./readings";

export const KINDS = ["running", "idle", "stopped", "service", "fault", "stale", "lost"] as const;
export type Kind = (typeof KINDS)[number];

export const LOOKS: Record<Kind, { colour: string; height: number; words: string }> = {
  running: { colour: "#2e9e5b", height: 1, words: "running" },
  idle: { colour: "#3b82c4", height: 0.7, words: "idle" },
  stopped: { colour: "#7d8894", height: 0.45, words: "stopped" },
  service: { colour: "#e0a100", height: 0.85, words: "in service" },
  fault: { colour: "#d93025", height: 1.5, words: "fault" },
  stale: { colour: "#b59bd0", height: 0.3, words: "silent for a moment" },
  lost: { colour: "#3c424a", height: 0.12, words: "lost" },
};

/** What it says of itself counts as long as it is heard. */
export function kindOf(sensor: Pick<Sensor, "state" | "status">): Kind {
  if (sensor.state !== "alive") return sensor.state;
  return KINDS.find((kind) => kind === sensor.status) ?? "idle";
}
