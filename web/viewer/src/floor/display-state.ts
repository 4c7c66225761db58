// How a machine is displayed. Height encodes the state as well as colour, for users who cannot distinguish colours.

import type { Sensor } from "./readings";

export const DISPLAY_STATES = ["running", "idle", "stopped", "service", "fault", "stale", "lost"] as const;
export type DisplayState = (typeof DISPLAY_STATES)[number];

export const STYLES: Record<DisplayState, { colour: string; height: number; label: string }> = {
  running: { colour: "#2e9e5b", height: 1, label: "running" },
  idle: { colour: "#3b82c4", height: 0.7, label: "idle" },
  stopped: { colour: "#7d8894", height: 0.45, label: "stopped" },
  service: { colour: "#e0a100", height: 0.85, label: "in service" },
  fault: { colour: "#d93025", height: 1.5, label: "fault" },
  stale: { colour: "#b59bd0", height: 0.3, label: "stale" },
  lost: { colour: "#3c424a", height: 0.12, label: "lost" },
};

/** The reported status while the machine is alive, else `stale` or `lost`. */
export function displayState(sensor: Pick<Sensor, "state" | "status">): DisplayState {
  if (sensor.state !== "alive") return sensor.state;
  return DISPLAY_STATES.find((state) => state === sensor.status) ?? "idle";
}
